;; As tools wrap a module that calls the host: the host's function needs the module's memory and a function of it that
;; allocates, so there is a table between the two, which a last module fills and then starts the first.
(component
  (import "greet" (func $greet (param "to" string) (result string)))
  (core module $main
    (import "host" "greet" (func $greet (param i32 i32 i32)))
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 1024))
    (global $begun (mut i32) (i32.const 0))
    (data (i32.const 16) "world")
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (global.get $next))
      (global.set $next (i32.add (global.get $next) (local.get 3)))
      (local.get $at))
    (func (export "begin") (global.set $begun (i32.add (global.get $begun) (i32.const 10))))
    ;; The length of the greeting, its first byte, and whether it was begun.
    (func (export "run") (result i32)
      (call $greet (i32.const 16) (i32.const 5) (i32.const 0))
      (i32.add
        (i32.add
          (i32.mul (i32.load (i32.const 4)) (i32.const 1000000))
          (i32.mul (i32.load8_u (i32.load (i32.const 0))) (i32.const 1000)))
        (global.get $begun))))
  (core module $shim
    (type $greet (func (param i32 i32 i32)))
    (table (export "$imports") 1 1 funcref)
    (func (export "0") (type $greet)
      (local.get 0) (local.get 1) (local.get 2)
      (call_indirect (type $greet) (i32.const 0))))
  (core module $fixups
    (import "" "0" (func $greet (param i32 i32 i32)))
    (import "" "begin" (func $begin))
    (import "" "$imports" (table 1 1 funcref))
    (elem (i32.const 0) func $greet)
    (start $begin))
  (core instance $i-shim (instantiate $shim))
  (alias core export $i-shim "0" (core func $through))
  (core instance $host (export "greet" (func $through)))
  (core instance $i-main (instantiate $main (with "host" (instance $host))))
  (alias core export $i-main "memory" (core memory $memory))
  (alias core export $i-main "realloc" (core func $realloc))
  (alias core export $i-main "begin" (core func $begin))
  (alias core export $i-shim "$imports" (core table $imports))
  (core func $lowered (canon lower (func $greet) (memory $memory) (realloc $realloc)))
  (core instance $fill
    (export "0" (func $lowered)) (export "begin" (func $begin)) (export "$imports" (table $imports)))
  (core instance (instantiate $fixups (with "" (instance $fill))))
  (alias core export $i-main "run" (core func $run))
  (func (export "run") (result u32) (canon lift (core func $run))))
