{#
    A table macro in the warehouse, `from billing.line_entries('line-…')`: the decided entries (intermediate.int_events_attributed) that a line's usage
    rests on, with the file of each. They are those of its account, metric, SKU and region on its dates, as known when the line was made: a line of a
    closed period, rebillings included, knows the batches up to the cutoff; a reversal takes back what had been billed, which is what was known at the
    close before that of its own period. A figure that does not add up from days rests on all of its period,
    a level on all that came before the line's last date.
#}
{% macro create_line_entries() -%}
create or replace macro billing.line_entries(of_line_id) as table (
    with line as (
        select
            lines.*,
            case
                when lines.line_type = 'adjustment' and (lines.quantity < 0 or lines.quantity = 0 and lines.amount < 0)
                    then (
                        select max(earlier.cutoff_batch_id)
                        from {{ in_warehouse(ref('billing_periods')) }} as earlier
                        where
                            periods.finalized_at is null
                            or (earlier.finalized_at, earlier.billing_period) < (periods.finalized_at, periods.billing_period)
                    )
                else periods.cutoff_batch_id
            end as cutoff_batch_id
        from {{ in_warehouse(ref('invoice_lines')) }} as lines
        left join {{ in_warehouse(ref('billing_periods')) }} as periods on lines.billing_period = periods.billing_period
        where lines.line_id = of_line_id
    )

    select entries.*, events.event_id, files.replayed_batch_id, files.file_name, files.sha256 as file_sha256
    from {{ in_warehouse(ref('int_events_attributed')) }} as entries
    inner join line
        on entries.account_id = line.account_id and entries.metric = line.metric and entries.sku = line.sku
        and (entries.region = line.region or line.pricing_model = 'flat')
        and case
            when {{ aggregates_by('entries.aggregation', 'level') }} then entries.billing_date <= line.last_date
            when {{ aggregates_by('entries.aggregation', 'recomputed') }} then strftime(entries.billing_date, '%Y-%m') = line.origin_period
            else entries.billing_date between line.first_date and line.last_date
        end
        and entries.batch_id <= coalesce(line.cutoff_batch_id, entries.batch_id)
    left join {{ in_warehouse(ref('stg_lake__files')) }} as files
        on entries.landed_batch_id = files.batch_id and entries.file_order = files.file_order
    left join {{ in_warehouse(ref('stg_lake__usage_events')) }} as events
        on entries.landed_batch_id = events.batch_id and entries.file_order = events.file_order and entries.row_number = events.row_number
    where
        entries.outcome = 'attributed' and entries.event_weight <> 0
        -- a flat price is charged once for all regions and all of the period: what another price rated meanwhile is not its usage
        and (line.pricing_model <> 'flat' or not exists (
            from {{ in_warehouse(ref('invoice_lines')) }} as others
            where
                others.account_id = line.account_id and others.sku = line.sku and others.metric = line.metric and others.origin_period = line.origin_period
                and others.pricing_model <> 'flat' and others.region = entries.region and entries.billing_date between others.first_date and others.last_date
        ))
)
{%- endmacro %}
