;; Answers WASI preview 1 inside the component, so that a plugin whose language runtime must import it is as closed
;; off as one that imports nothing, and as deterministic: no arguments, environment, files or sockets; a clock that
;; starts at a fixed time and counts; random numbers from a fixed seed. Standard output and error go to the host's
;; `stderr`.
;;
;; Why not the official adapter: it asks the host for the time, and Go's runtime looks at the clock when a garbage
;; collection ends within `cabi_realloc`, where a component may call nothing outside itself.
;;
;; Exports that a core module does not import are left out of its component. Each function answers an errno.
(module
  (import "forebay:transform/host@0.1.0" "stderr" (func $stderr (param $start i32) (param $length i32)))
  ;; the plugin's own memory
  (import "env" "memory" (memory 0))

  ;; nanoseconds since 1970: 2023-11-14 22:13:20 UTC at first
  (global $now (mut i64) (i64.const 1700000000000000000))
  ;; the state of xorshift64; any number but 0
  (global $random (mut i64) (i64.const 88172645463325252))

  ;; -- arguments and environment: none

  (func $no_strings (param $count i32) (param $bytes i32) (result i32)
    (i32.store (local.get $count) (i32.const 0))
    (i32.store (local.get $bytes) (i32.const 0))
    (i32.const 0))
  (export "args_sizes_get" (func $no_strings))
  (export "environ_sizes_get" (func $no_strings))

  (func $nothing_to_write (param i32 i32) (result i32) (i32.const 0))
  (export "args_get" (func $nothing_to_write))
  (export "environ_get" (func $nothing_to_write))

  ;; -- time: a look at any clock is a microsecond after the last one

  (func (export "clock_time_get") (param $clock i32) (param $precision i64) (param $time i32) (result i32)
    (global.set $now (i64.add (global.get $now) (i64.const 1000)))
    (i64.store (local.get $time) (global.get $now))
    (i32.const 0))

  (func (export "clock_res_get") (param $clock i32) (param $resolution i32) (result i32)
    (i64.store (local.get $resolution) (i64.const 1000))
    (i32.const 0))

  ;; Go's component runtime says that it must not be told the host's time now; it never is.
  (func (export "adapter_monotonic_clock_set_paused") (param $paused i32))

  ;; A wait ends at once, with one event for the first subscription; a relative wait for a clock moves the clock on.
  ;;   subscription: 0 userdata, 8 tag (0 = clock), 24 timeout, 40 flags (1 = absolute)
  ;;   event:        0 userdata, 8 error, 10 type, 16 bytes, 24 flags
  (func (export "poll_oneoff")
    (param $subscriptions i32) (param $events i32) (param $count i32) (param $answered i32) (result i32)
    (if (i32.eqz (local.get $count)) (then (return (i32.const 28)))) ;; EINVAL
    (if (i32.or
          (i32.load8_u offset=8 (local.get $subscriptions))
          (i32.and (i32.load16_u offset=40 (local.get $subscriptions)) (i32.const 1)))
      (then (global.set $now (i64.add (global.get $now) (i64.const 1000000))))
      (else
        (global.set $now (i64.add (global.get $now) (i64.load offset=24 (local.get $subscriptions))))))
    (i64.store (local.get $events) (i64.load (local.get $subscriptions)))
    (i64.store offset=8 (local.get $events) (i64.const 0))
    (i32.store8 offset=10 (local.get $events) (i32.load8_u offset=8 (local.get $subscriptions)))
    (i64.store offset=16 (local.get $events) (i64.const 0))
    (i64.store offset=24 (local.get $events) (i64.const 0))
    (i32.store (local.get $answered) (i32.const 1))
    (i32.const 0))

  (func (export "sched_yield") (result i32) (i32.const 0))

  ;; -- randomness: xorshift64 from a fixed seed

  (func (export "random_get") (param $at i32) (param $length i32) (result i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $at) (local.get $length)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (global.set $random
          (i64.xor (global.get $random) (i64.shl (global.get $random) (i64.const 13))))
        (global.set $random
          (i64.xor (global.get $random) (i64.shr_u (global.get $random) (i64.const 7))))
        (global.set $random
          (i64.xor (global.get $random) (i64.shl (global.get $random) (i64.const 17))))
        (i64.store8 (local.get $at) (i64.shr_u (global.get $random) (i64.const 24)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (i32.const 0))

  ;; -- standard output and error, in pieces (pointer and length, eight bytes each)

  (func (export "fd_write")
    (param $fd i32) (param $pieces i32) (param $count i32) (param $written i32) (result i32)
    (local $sum i32)
    (if (i32.or (i32.lt_u (local.get $fd) (i32.const 1)) (i32.gt_u (local.get $fd) (i32.const 2)))
      (then (return (i32.const 8)))) ;; EBADF
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (call $stderr (i32.load (local.get $pieces)) (i32.load offset=4 (local.get $pieces)))
        (local.set $sum (i32.add (local.get $sum) (i32.load offset=4 (local.get $pieces))))
        (local.set $pieces (i32.add (local.get $pieces) (i32.const 8)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    (i32.store (local.get $written) (local.get $sum))
    (i32.const 0))

  ;; -- the end of the program: a trap

  (func (export "proc_exit") (param $code i32) unreachable)
  (func (export "proc_raise") (param $signal i32) (result i32) unreachable)

  ;; -- files: none is open (EBADF), and none can be opened (ENOTCAPABLE)

  (func (export "fd_advise") (param i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_allocate") (param i32 i64 i64) (result i32) (i32.const 8))
  (func (export "fd_close") (param i32) (result i32) (i32.const 8))
  (func (export "fd_datasync") (param i32) (result i32) (i32.const 8))
  (func (export "fd_fdstat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_fdstat_set_flags") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_fdstat_set_rights") (param i32 i64 i64) (result i32) (i32.const 8))
  (func (export "fd_filestat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_filestat_set_size") (param i32 i64) (result i32) (i32.const 8))
  (func (export "fd_filestat_set_times") (param i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_pread") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_dir_name") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_pwrite") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_read") (param i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_readdir") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_renumber") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_seek") (param i32 i64 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_sync") (param i32) (result i32) (i32.const 8))
  (func (export "fd_tell") (param i32 i32) (result i32) (i32.const 8))
  (func (export "path_create_directory") (param i32 i32 i32) (result i32) (i32.const 76))
  (func (export "path_filestat_get") (param i32 i32 i32 i32 i32) (result i32) (i32.const 76))
  (func (export "path_filestat_set_times") (param i32 i32 i32 i32 i64 i64 i32) (result i32) (i32.const 76))
  (func (export "path_link") (param i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 76))
  (func (export "path_open") (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32) (i32.const 76))
  (func (export "path_readlink") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 76))
  (func (export "path_remove_directory") (param i32 i32 i32) (result i32) (i32.const 76))
  (func (export "path_rename") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 76))
  (func (export "path_symlink") (param i32 i32 i32 i32 i32) (result i32) (i32.const 76))
  (func (export "path_unlink_file") (param i32 i32 i32) (result i32) (i32.const 76))
  (func (export "sock_accept") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_recv") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_send") (param i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_shutdown") (param i32 i32) (result i32) (i32.const 8)))
