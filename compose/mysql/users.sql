-- The account that Forebay reads with: exactly what it needs.
CREATE USER IF NOT EXISTS 'cdc_user'@'%' IDENTIFIED BY 'SecurePassword123!';
GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'cdc_user'@'%';
GRANT SELECT ON active.* TO 'cdc_user'@'%';
GRANT SELECT ON testdb.* TO 'cdc_user'@'%';
GRANT SELECT ON retail_db.* TO 'cdc_user'@'%';
GRANT SELECT ON export.* TO 'cdc_user'@'%';
