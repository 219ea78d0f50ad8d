select * from {{ read_landed('shadow', 'ratings') }}
