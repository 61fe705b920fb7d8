-- retail_db: a small shop. E-mail and telephone numbers are personal data; orders refer to customers.
CREATE DATABASE IF NOT EXISTS retail_db;
CREATE TABLE IF NOT EXISTS retail_db.customers (
  customer_id INT PRIMARY KEY AUTO_INCREMENT,
  first_name VARCHAR(50),
  last_name VARCHAR(50),
  email VARCHAR(100),
  phone VARCHAR(20),
  address VARCHAR(200),
  city VARCHAR(50),
  state VARCHAR(2),
  zip_code VARCHAR(10),
  created_date DATETIME DEFAULT CURRENT_TIMESTAMP,
  last_updated DATETIME DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP
);
CREATE TABLE IF NOT EXISTS retail_db.orders (
  order_id INT PRIMARY KEY AUTO_INCREMENT,
  customer_id INT,
  order_date DATETIME DEFAULT CURRENT_TIMESTAMP,
  order_status VARCHAR(20),
  total_amount DECIMAL(10, 2),
  shipping_address VARCHAR(200),
  payment_method VARCHAR(50),
  created_date DATETIME DEFAULT CURRENT_TIMESTAMP,
  last_updated DATETIME DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  FOREIGN KEY (customer_id) REFERENCES retail_db.customers (customer_id)
);
CREATE TABLE IF NOT EXISTS retail_db.products (
  product_id INT PRIMARY KEY AUTO_INCREMENT,
  product_name VARCHAR(100),
  category VARCHAR(50),
  price DECIMAL(10, 2),
  stock_quantity INT,
  supplier VARCHAR(100),
  description TEXT,
  created_date DATETIME DEFAULT CURRENT_TIMESTAMP,
  last_updated DATETIME DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP
);
INSERT INTO retail_db.customers (first_name, last_name, email, phone, city, state) VALUES
  ('John', 'Doe', 'john.doe@email.com', '555-0100', 'New York', 'NY'),
  ('Sarah', 'Johnson', 'sarah.j@email.com', '555-0101', 'Los Angeles', 'CA'),
  ('Michael', 'Brown', 'michael.b@email.com', '555-0102', 'Chicago', 'IL');
INSERT INTO retail_db.products (product_name, category, price, stock_quantity, supplier) VALUES
  ('Laptop Pro', 'Electronics', 1299.99, 50, 'Tech Supply Co'),
  ('Wireless Mouse', 'Electronics', 29.99, 200, 'Tech Supply Co'),
  ('Office Chair', 'Furniture', 249.99, 30, 'Office Depot');
INSERT INTO retail_db.orders (customer_id, order_status, total_amount, shipping_address, payment_method) VALUES
  (1, 'PENDING', 1329.98, '123 Main St, New York, NY 10001', 'Credit Card'),
  (2, 'PROCESSING', 29.99, '456 Oak Ave, Los Angeles, CA 90001', 'PayPal'),
  (3, 'SHIPPED', 249.99, '789 Pine Rd, Chicago, IL 60601', 'Credit Card');
