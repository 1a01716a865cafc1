internal import CProcessor

#if canImport(Glibc)
  internal import Glibc
#endif

/// A few threads that share the work of one rank: whole blocks and whole experts, so that how many there are changes
/// nothing that is computed. All of them, the caller's too, treat subnormal numbers as zero.
public final class ThreadTeam {
  /// Threads that were asked for, the caller's among them.
  public let threads: Int
  private let shared: Shared
  private var workers: [pthread_t] = []

  /// What the system says where it gave fewer threads than were asked for; nil where it gave all.
  package var shortage: String? {
    workers.count + 1 < threads
      ? "the system gives \(workers.count + 1); take fewer, or raise the limits of processes (ulimit -u, the container's pids) "
        + "and of address space (ulimit -v)" : nil
  }

  /// The caller's thread alone.
  public static func alone() -> ThreadTeam { ThreadTeam(threads: 1) }

  /// Starts one thread fewer than asked for, beside the caller's. Fewer do the same work where the system gives no more, and
  /// ``shortage`` says so.
  ///
  /// - Parameter threads: at least 1.
  public init(threads: Int) {
    precondition(threads >= 1, "a team has at least the caller's thread")
    processor_flush_subnormals()
    self.threads = threads
    shared = Shared()
    for _ in 1..<threads {
      var worker = pthread_t()
      let argument = Unmanaged.passRetained(shared).toOpaque()
      let code = pthread_create(
        &worker, nil,
        { argument in
          guard let argument else { return nil }
          Unmanaged<Shared>.fromOpaque(argument).takeRetainedValue().work()
          return nil
        }, argument)
      if code != 0 {
        // Fewer threads do the same work.
        Unmanaged<Shared>.fromOpaque(argument).release()
        break
      }
      workers.append(worker)
    }
  }

  deinit {
    shared.stop()
    for worker in workers { pthread_join(worker, nil) }
  }

  /// Runs the body once for every index from 0 to `count` − 1, on any thread and in any order, and returns when all are
  /// done. The body must not call the team again.
  ///
  /// - Throws: the error of the lowest index that failed.
  public func run(_ count: Int, _ body: (Int) throws -> Void) throws {
    if workers.isEmpty || count <= 1 {
      for index in 0..<count { try body(index) }
      return
    }
    var failures = [(any Error)?](repeating: nil, count: count)
    failures.withUnsafeMutableBufferPointer { failures in
      let place = failures
      run(count) { index in
        do { try body(index) } catch { place[index] = error }
      }
    }
    for case .some(let error) in failures { throw error }
  }

  /// Fills every place of an array with what the body returns for it.
  public func fill<Value>(_ values: inout [Value?], _ body: (Int) -> Value) {
    let count = values.count
    values.withUnsafeMutableBufferPointer { buffer in
      let places = buffer
      run(count) { places[$0] = body($0) }
    }
  }

  /// Runs a body that does not fail once for every index from 0 to `count` − 1, on any thread and in any order, and returns
  /// when all are done. The body must not call the team again.
  public func run(_ count: Int, _ body: (Int) -> Void) {
    if workers.isEmpty || count <= 1 {
      for index in 0..<count { body(index) }
      return
    }
    withoutActuallyEscaping(body) { shared.run(count, $0) }
  }
}

/// What the threads have in common; variables are read and written under the lock alone, but for the body, see below.
private final class Shared: @unchecked Sendable {
  private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let begun = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private let ended = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var body: ((Int) -> Void)?
  private var next = 0
  private var count = 0
  private var unfinished = 0
  private var isStopped = false

  init() {
    pthread_mutex_init(lock, nil)
    pthread_cond_init(begun, nil)
    pthread_cond_init(ended, nil)
  }

  deinit {
    pthread_cond_destroy(begun)
    pthread_cond_destroy(ended)
    pthread_mutex_destroy(lock)
    begun.deallocate()
    ended.deallocate()
    lock.deallocate()
  }

  func run(_ count: Int, _ body: @escaping (Int) -> Void) {
    pthread_mutex_lock(lock)
    self.body = body
    self.count = count
    next = 0
    unfinished = count
    pthread_cond_broadcast(begun)
    takeAll()
    while unfinished > 0 { pthread_cond_wait(ended, lock) }
    self.body = nil
    pthread_mutex_unlock(lock)
  }

  /// A worker's life.
  func work() {
    processor_flush_subnormals()
    pthread_mutex_lock(lock)
    while !isStopped {
      takeAll()
      if !isStopped { pthread_cond_wait(begun, lock) }
    }
    pthread_mutex_unlock(lock)
  }

  func stop() {
    pthread_mutex_lock(lock)
    isStopped = true
    pthread_cond_broadcast(begun)
    pthread_mutex_unlock(lock)
  }

  /// A call of its own, so that no thread holds the body when its last index is reported as done. Nobody changes the body
  /// while an index is unfinished.
  @inline(never)
  private func perform(_ index: Int) { body?(index) }

  /// Does what nobody has begun; called and left with the lock held.
  private func takeAll() {
    while next < count {
      let index = next
      next += 1
      pthread_mutex_unlock(lock)
      perform(index)
      pthread_mutex_lock(lock)
      unfinished -= 1
      if unfinished == 0 { pthread_cond_signal(ended) }
    }
  }
}
