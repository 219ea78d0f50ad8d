select * from {{ read_landed('finalized', 'credit_balances') }}
