{{ known_intervals('metrics', ['metric', 'aggregation', 'unit', 'allow_negative', 'default_sku']) }}
