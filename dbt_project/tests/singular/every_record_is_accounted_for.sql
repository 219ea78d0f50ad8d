-- Failure it prevents: records that vanish between the dumps and the figures. Rule 8: records = rejected + duplicates + held + unattributed + attributed.
select * from {{ ref('event_conservation') }} where difference <> 0
