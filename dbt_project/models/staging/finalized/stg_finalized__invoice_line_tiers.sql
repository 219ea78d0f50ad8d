select * from {{ read_landed('finalized', 'invoice_line_tiers') }}
