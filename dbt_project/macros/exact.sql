{#
    Exact arithmetic on decimals. DuckDB's decimal division yields DOUBLE and its decimal product may overflow the 38 digits, so what
    divides or multiplies goes through whole numbers (HUGEINT, 38 digits) of the smallest unit. Every rounding is half away from zero.
#}

{# DECIMAL(38,9) → whole 10⁻⁹ths. #}
{% macro to_ninths(quantity) -%}
    (trunc({{ quantity }})::hugeint * 1000000000 + (({{ quantity }} - trunc({{ quantity }})) * 1000000000)::hugeint)
{%- endmacro %}

{# Whole 10⁻⁹ths → DECIMAL(38,9). #}
{% macro from_ninths(ninths) -%}
    (({{ ninths }} // 1000000000)::decimal(38, 9) + ({{ ninths }} % 1000000000)::decimal(10, 0) * 0.000000001::decimal(10, 9))::decimal(38, 9)
{%- endmacro %}

{# numerator / denominator (> 0), whole numbers, rounded half away from zero. #}
{% macro divide_rounded(numerator, denominator) -%}
    (sign({{ numerator }}) * ((2 * abs({{ numerator }}) + ({{ denominator }})) // (2 * ({{ denominator }}))))::hugeint
{%- endmacro %}

{#
    The same three in 64 bits, for quantities below 10⁹: a division of 128 bits costs DuckDB 0.3 µs, one of 64 bits 3 ns. The numerator must stay
    below 4 × 10¹⁸ and the denominator within 10¹⁸; whoever calls says why they do.
#}
{% macro to_ninths_short(quantity) -%}
    {%- set short = '(' ~ quantity ~ ')::decimal(18, 9)' -%}
    (trunc({{ short }})::bigint * 1000000000 + (({{ short }} - trunc({{ short }})) * 1000000000)::bigint)
{%- endmacro %}

{% macro from_ninths_short(ninths) -%}
    (({{ ninths }})::decimal(18, 0) * 0.000000001::decimal(9, 9))::decimal(38, 9)
{%- endmacro %}

{% macro divide_rounded_short(numerator, denominator) -%}
    (sign({{ numerator }}) * ((2 * abs({{ numerator }}) + ({{ denominator }})) // (2 * ({{ denominator }}))))::bigint
{%- endmacro %}

{#
    base² × numerator / denominator for a base ≥ 0 (DECIMAL(38,9)) and whole numbers, as DECIMAL(38,9), rounded once, half up. The square of nine
    digits behind the point would need 18: the base is split at the point, divided in steps of nine digits, and only the last division rounds.
#}
{% macro square_times_fraction(base, numerator, denominator) -%}
    {%- set whole = 'trunc(' ~ base ~ ')::hugeint' -%}
    {%- set ninths = '((' ~ base ~ ' - trunc(' ~ base ~ ')) * 1000000000)::hugeint' -%}
    {%- set square = '(' ~ numerator ~ ' * ' ~ whole ~ ' * ' ~ whole ~ ')' -%}
    {%- set rest = '(' ~ square ~ ' % ' ~ denominator ~ ' * 1000000000)' -%}
    {%- set mixed = '(' ~ numerator ~ ' * (2 * ' ~ whole ~ ' * 1000000000 + ' ~ ninths ~ '))' -%}
    {%- set mixed_whole = '(' ~ mixed ~ ' // ' ~ denominator ~ ' * ' ~ ninths ~ ')' -%}
    {{ from_ninths(
        '(' ~ square ~ ' // ' ~ denominator ~ ' * 1000000000 + ' ~ rest ~ ' // ' ~ denominator ~ ' + ' ~ mixed_whole ~ ' // 1000000000 + '
        ~ divide_rounded(
            '(' ~ rest ~ ' % ' ~ denominator ~ ' * 1000000000 + ' ~ mixed_whole ~ ' % 1000000000 * ' ~ denominator ~ ' + ' ~ mixed ~ ' % ' ~ denominator ~ ' * ' ~ ninths ~ ')',
            '(' ~ denominator ~ ' * 1000000000)'
        ) ~ ')'
    ) }}
{%- endmacro %}

{# Whether square_times_fraction stays inside the 38 digits; estimated in floating point. #}
{% macro square_times_fraction_fits(base, numerator, denominator) -%}
    (
        ({{ numerator }})::double * greatest(power({{ base }}::double, 2), {{ base }}::double * 2e9, 1e9) < 8e37
        and ({{ numerator }})::double / ({{ denominator }})::double * greatest({{ base }}::double, 1) * greatest({{ base }}::double * 1e9, 2e18) < 8e37
        and ({{ denominator }})::double < 2e28
    )
{%- endmacro %}

{# numerator / denominator (> 0), whole numbers, rounded up: whole packages. `//` cuts towards zero, which is up for what is negative. #}
{% macro divide_rounded_up(numerator, denominator) -%}
    (({{ numerator }} + if({{ numerator }} > 0, {{ denominator }} - 1, 0)) // {{ denominator }})
{%- endmacro %}

{# DECIMAL(38,12) → whole 10⁻¹²ths. #}
{% macro to_twelfths(amount) -%}
    (trunc({{ amount }})::hugeint * 1000000000000 + (({{ amount }} - trunc({{ amount }})) * 1000000000000)::hugeint)
{%- endmacro %}

{# Whole 10⁻¹²ths → DECIMAL(38,12). #}
{% macro from_twelfths(twelfths) -%}
    (({{ twelfths }} // 1000000000000)::decimal(38, 12) + ({{ twelfths }} % 1000000000000)::decimal(13, 0) * 0.000000000001::decimal(13, 12))::decimal(38, 12)
{%- endmacro %}

{#
    quantity (DECIMAL with `digits` behind the point) × price (DECIMAL(38,12)) / per (1, or 100 for a percentage) as DECIMAL(38,12), rounded once, half
    away from zero, at the 12th digit. What fits into 18 digits is one product of DuckDB's own, of 38 digits at most: nearly every row, at a
    hundredth of the time; and what is null, such as an amount without a rate of exchange, goes the same way. Else the whole part and the part behind
    the point are multiplied on their own: 10¹⁸ units at 10⁻¹² and 10⁹ units at 10⁶ are both exact.
#}
{% macro quantity_times_price(quantity, price, per=1, digits=9) -%}
    {%- set scale = '1' ~ '0' * digits -%}
    {%- set price_twelfths = to_twelfths(price) -%}
    {%- set whole = '(trunc(' ~ quantity ~ ')::hugeint * ' ~ price_twelfths ~ ')' -%}
    {%- set fraction = '((' ~ quantity ~ ' - trunc(' ~ quantity ~ ')) * ' ~ scale ~ ')::hugeint * ' ~ price_twelfths -%}
    case
        when coalesce(
            abs({{ quantity }}) < 1{{ '0' * (18 - digits) }} and abs({{ price }}) < 1000000 and {{ per }} in (1, 100),
            ({{ quantity }}) is null or ({{ price }}) is null
        )
            then round(
                ({{ quantity }})::decimal(18, {{ digits }}) * ({{ price }})::decimal(18, 12)
                {%- if per != 1 %} * if({{ per }} = 100, 0.01, 1)::decimal(3, 2){% endif %}, 12
            )::decimal(38, 12)
        else {{ from_twelfths(
            '(' ~ whole ~ ' // ' ~ per ~ ' + '
            ~ divide_rounded('(' ~ whole ~ ' % ' ~ per ~ ' * ' ~ scale ~ ' + ' ~ fraction ~ ')', '(' ~ scale ~ '::hugeint * ' ~ per ~ ')') ~ ')'
        ) }}
    end
{%- endmacro %}

{#
    An amount at its currency's minor unit (0, 2, 3 or 4 digits), half away from zero: round() on a decimal does just that. Each branch is cast on
    its own: a case over DECIMAL(38,0) and DECIMAL(38,2) would take the first one's scale and lose the cents.
#}
{% macro round_to_minor_unit(amount, minor_unit) -%}
    case {{ minor_unit }}
    {%- for digits in [0, 2, 3, 4] %}
        when {{ digits }} then round({{ amount }}, {{ digits }})::decimal(38, 6)
    {%- endfor %}
    end
{%- endmacro %}

{# The whole number behind a limit (HUGEINT) as DECIMAL(38,9), or the largest there is: a quantity below it has at most `limit` whole units. #}
{% macro next_whole(limit) -%}
    if({{ limit }} < 99999999999999999999999999999, ({{ limit }} + 1)::decimal(38, 9), 99999999999999999999999999999.999999999::decimal(38, 9))
{%- endmacro %}

{# One minor unit of a currency: 1 yen, 1 cent, 1 fils. #}
{% macro minor_amount(minor_unit) -%}
    case {{ minor_unit }} when 0 then 1 when 2 then 0.01 when 3 then 0.001 when 4 then 0.0001 end::decimal(38, 6)
{%- endmacro %}

{# part / whole (amounts or counts with at most 6 digits behind the point, whole > 0) as DECIMAL(38,12), rounded half away from zero; null where the whole is zero. #}
{% macro ratio(part, whole) -%}
    case when ({{ whole }}) <> 0 then {{ from_twelfths(divide_rounded(
        '((' ~ part ~ ')::decimal(38, 6) * 1000000)::hugeint * 1000000000000', '((' ~ whole ~ ')::decimal(38, 6) * 1000000)::hugeint'
    )) }} end
{%- endmacro %}

{# An amount (≥ 0) cut down to whole minor units of its currency. #}
{% macro cut_to_minor_unit(amount, minor_unit) -%}
    ({{ amount }}::decimal(38, 12) - {{ amount }}::decimal(38, 12) % {{ minor_amount(minor_unit) }}::decimal(38, 12))::decimal(38, 6)
{%- endmacro %}

{#
    (whole + ninths / 10⁹) / divisor as DECIMAL(38,9), rounded once half away from zero; whole numbers, divisor > 0. What lies behind the point is
    kept apart, because a level of nine digits times the microseconds of a month would need more than 38.
#}
{% macro divide_split(whole, ninths, divisor) -%}
    {%- set all_whole = '(' ~ whole ~ ' + ' ~ ninths ~ ' // 1000000000)' -%}
    {%- set quotient = '(' ~ all_whole ~ ' // ' ~ divisor ~ ')' -%}
    {%- set rest = '(' ~ all_whole ~ ' % ' ~ divisor ~ ' * 1000000000 + ' ~ ninths ~ ' % 1000000000)' -%}
    {%- set away = 'if(' ~ quotient ~ ' < 0 or (' ~ quotient ~ ' = 0 and ' ~ rest ~ ' < 0), -1, 1)::hugeint' -%}
    {#- rest may stand on the other side of zero than the whole: then it is rounded downwards, towards the whole's side -#}
    {%- set doubled = '(' ~ away ~ ' * 2 * ' ~ rest ~ ' + ' ~ divisor ~ ')' -%}
    {%- set twice = '(2 * ' ~ divisor ~ ')' -%}
    {{ from_ninths(
        '(' ~ quotient ~ ' * 1000000000 + ' ~ away ~ ' * ((' ~ doubled ~ ' - (' ~ doubled ~ ' % ' ~ twice ~ ' + ' ~ twice ~ ') % ' ~ twice ~ ') // ' ~ twice ~ '))'
    ) }}
{%- endmacro %}
