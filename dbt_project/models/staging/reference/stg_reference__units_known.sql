{{ known_intervals('units', ['unit', 'base_unit', 'factor']) }}
