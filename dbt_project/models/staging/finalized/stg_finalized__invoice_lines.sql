select
    *,
    -- the line of the origin period: of an adjustment, the one that it adjusts
    if(line_type = 'adjustment', base_line_id, line_id) as origin_line_id
from {{ read_landed('finalized', 'invoice_lines') }}
