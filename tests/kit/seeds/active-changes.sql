-- Changes to active.tenants. The predicates are not on the key: run twice, a statement changes several rows.
SET SESSION sql_mode = 'ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION';
UPDATE active.tenants SET suburb = 'Surry Hills', postcode = '2010' WHERE name = 'Acme Corp';
INSERT INTO active.tenants (name, street_number, street_name, suburb, state, postcode, country_id, timezone)
  VALUES ('Global Services', '321', 'George Street', 'Perth', 'WA', '6000', 1, 'Australia/Perth');
DELETE FROM active.tenants WHERE name = 'Data Analytics Ltd';
INSERT INTO active.tenants (name, street_number, street_name, suburb, state, postcode, country_id, timezone)
  VALUES ('Test Company', '100', 'Test St', 'Sydney', 'NSW', '2000', 1, 'Australia/Sydney');
UPDATE active.tenants SET suburb = 'Parramatta' WHERE name = 'Test Company';
DELETE FROM active.tenants WHERE name = 'Test Company';
