-- Changes to retail_db. Two of them change nothing, so MySQL writes no event for them and nothing may wait for one:
-- the product has that price already, and there is no customer 999.
INSERT INTO retail_db.customers (first_name, last_name, email, phone, city, state)
  VALUES ('Jane', 'Smith', 'jane.smith@email.com', '555-0123', 'Seattle', 'WA');
UPDATE retail_db.orders SET order_status = 'SHIPPED' WHERE order_id = 1;
UPDATE retail_db.products SET price = 29.99 WHERE product_id = 2;
SET FOREIGN_KEY_CHECKS = 0;
DELETE FROM retail_db.customers WHERE customer_id = 999;
SET FOREIGN_KEY_CHECKS = 1;
DELETE FROM retail_db.customers WHERE email = 'jane.smith@email.com';
