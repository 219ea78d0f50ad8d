{{ known_intervals('attribution_keys', ['key_type', 'key_value', 'account_id', 'valid_from', 'valid_to']) }}
