-- Changes to testdb.users: one of each kind.
INSERT INTO testdb.users (name, email) VALUES ('David', 'david@example.com');
UPDATE testdb.users SET email = 'alice.new@example.com' WHERE id = 1;
DELETE FROM testdb.users WHERE id = 3;
