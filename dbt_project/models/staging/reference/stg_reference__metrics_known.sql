{{ known_intervals('metrics', ['metric', 'aggregation', 'unit', 'distinct_on', 'allow_negative', 'default_sku']) }}
