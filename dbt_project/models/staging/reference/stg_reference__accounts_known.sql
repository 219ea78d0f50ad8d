{{ known_intervals('accounts', ['account_id', 'billing_timezone']) }}
