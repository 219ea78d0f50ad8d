select * from {{ read_landed('finalized', 'line_allocations') }}
