-- active.tenants, as found in the field: `updated_at` defaults to the zero date and no INSERT sets it, so every row
-- carries a zero timestamp; and it is `created_at` that changes on every update.
-- MySQL 8 refuses that default unless the session's sql_mode allows zero dates.
SET SESSION sql_mode = 'ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION';
CREATE DATABASE IF NOT EXISTS active;
CREATE TABLE IF NOT EXISTS active.tenants (
  id INT UNSIGNED PRIMARY KEY AUTO_INCREMENT,
  name VARCHAR(255) NOT NULL,
  street_number VARCHAR(255) NOT NULL,
  street_name VARCHAR(255) NOT NULL,
  suburb VARCHAR(255) NOT NULL,
  state VARCHAR(255) NOT NULL,
  postcode VARCHAR(255) NOT NULL,
  created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  updated_at TIMESTAMP NOT NULL DEFAULT '0000-00-00 00:00:00',
  country_id INT NOT NULL DEFAULT 0,
  timezone VARCHAR(255) DEFAULT 'UTC',
  INDEX idx_name (name)
);
INSERT INTO active.tenants (name, street_number, street_name, suburb, state, postcode, country_id, timezone) VALUES
  ('Acme Corp', '123', 'Main Street', 'Sydney', 'NSW', '2000', 1, 'Australia/Sydney'),
  ('Tech Solutions', '456', 'Elizabeth Street', 'Melbourne', 'VIC', '3000', 1, 'Australia/Melbourne'),
  ('Data Analytics Ltd', '789', 'Queen Street', 'Brisbane', 'QLD', '4000', 1, 'Australia/Brisbane');
