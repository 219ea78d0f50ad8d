select * from {{ read_landed('finalized', 'ledger_reconciliation') }}
