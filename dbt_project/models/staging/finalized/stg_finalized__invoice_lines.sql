select * from {{ read_landed('finalized', 'invoice_lines') }}
