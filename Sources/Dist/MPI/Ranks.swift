internal import COpenMPI
internal import Foundation

#if canImport(Glibc)
  internal import Glibc
#endif

/// How a program that uses ranks speaks and ends: this library has neither a name nor exit codes of its own.
public struct Program: Sendable {
  /// Begins every line that is printed for an error.
  public var name: String
  /// Ends the process after an error that brings no code of its own.
  public var failureCode: Int32
  /// Ends the process where it was started in a way that cannot work.
  public var usageCode: Int32
  /// What follows the program's name on a command line that works, such as "train …".
  public var example: String

  /// - Parameters:
  ///   - name: as it is typed.
  ///   - failureCode: of an error without a code of its own; not 0.
  ///   - usageCode: of a start that cannot work; not 0.
  ///   - example: what follows the name on a command line that works.
  public init(name: String, failureCode: Int32 = 1, usageCode: Int32 = 1, example: String = "…") {
    self.name = name
    self.failureCode = failureCode
    self.usageCode = usageCode
    self.example = example
  }
}

/// The way into a run: with the ranks that a launcher started, or alone.
public enum Ranks {
  /// Names that a launcher's environment has; without any of them the program is one rank and never enters MPI.
  private static let launcherVariables = ["OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK"]

  /// This process's rank as far as the environment tells, before MPI is entered.
  public static func rank(in environment: [String: String]) -> Int {
    for name in ["OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"] {
      if let text = environment[name], let rank = Int(text) { return rank }
    }
    return 0
  }

  /// How many ranks the launcher says that there are; 1 without one.
  public static func count(in environment: [String: String]) -> Int {
    for name in ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"] {
      if let text = environment[name], let count = Int(text) { return max(count, 1) }
    }
    return 1
  }

  /// Whether a launcher started this process.
  public static func isLaunched(in environment: [String: String]) -> Bool {
    launcherVariables.contains { environment[$0] != nil }
  }

  /// Runs the body on this rank and returns the exit code of the process.
  ///
  /// An error on one rank ends the job on every rank: it is printed in one line and its code goes into MPI_Abort, because
  /// MPI_Finalize would wait for ranks that wait for this one. An ``AgreedError`` is known to all; rank 0 prints it, and
  /// all ranks finalise.
  ///
  /// MPI can be entered once, by the thread that goes on calling it: call this once, on the main thread, and give the result
  /// to `exit`. Without a launcher there is one rank, and MPI is not entered.
  /// - Parameters:
  ///   - program: whose run it is.
  ///   - environment: `ProcessInfo.processInfo.environment`; it says whether a launcher started the process.
  ///   - watchdog: knows when this rank waits for others, and when it ends with an error; nil: nobody's.
  ///   - onFailure: called with rank and error before the job is ended, for example to write the error to a file.
  ///   - body: what every rank does; returns the exit code.
  /// - Returns: the body's code; that of a ``ProcessError`` it threw, else ``Program/failureCode``; ``Program/usageCode``
  ///   where the launcher belongs to another MPI library, so that all processes would be rank 0.
  public static func run(
    _ program: Program, environment: [String: String], watchdog: Watchdog? = nil,
    onFailure: (Int, any Error) -> Void = { _, _ in },
    _ body: (any Communicator) throws -> Int32
  ) -> Int32 {
    guard isLaunched(in: environment) else { return runAlone(program, environment, onFailure, body) }
    UserNamespace.prepareTransport(environment)
    var provided: Int32 = 0
    var entered = false
    do {
      watchdog?.beginsWaiting(isExchange: true)
      try check(MPI_Init_thread(nil, nil, Int32(MPI_THREAD_FUNNELED), &provided), "MPI_Init_thread")
      entered = true
      let world = try MPICommunicator(watchdog)
      watchdog?.endsWaiting()
      if let wrong = WrongLaunch(program, environment, size: world.size) {
        // Every process is a job of its own here; what the launcher calls rank 0 speaks.
        if rank(in: environment) == 0 { printLine("\(program.name): \(wrong.description)") }
        try check(MPI_Finalize(), "MPI_Finalize")
        return wrong.exitCode
      }
      let code: Int32
      do {
        code = try body(world)
      } catch let agreed as AgreedError {
        if world.rank == 0 {
          onFailure(0, agreed)
          printLine("\(program.name): \(agreed.description)")
        }
        code = agreed.exitCode
      } catch {
        watchdog?.processSpeaks()
        onFailure(world.rank, error)
        printLine("\(program.name): rank \(world.rank) on host \(world.hostName): \(words(error))")
        MPI_Abort(MPI_COMM_WORLD, exitCode(error, program))
        exit(exitCode(error, program))
      }
      watchdog?.beginsWaiting(isExchange: true)
      try check(MPI_Finalize(), "MPI_Finalize")
      watchdog?.endsWaiting()
      watchdog?.processEnds()
      return code
    } catch {
      watchdog?.processSpeaks()
      printLine("\(program.name): \(words(error))")
      if entered { MPI_Abort(MPI_COMM_WORLD, exitCode(error, program)) }
      return exitCode(error, program)
    }
  }

  private static func runAlone(
    _ program: Program, _ environment: [String: String], _ onFailure: (Int, any Error) -> Void,
    _ body: (any Communicator) throws -> Int32
  ) -> Int32 {
    do {
      if let wrong = WrongLaunch(program, environment, size: 1) { throw wrong }
      return try body(LocalCommunicator())
    } catch {
      onFailure(0, error)
      printLine("\(program.name): \(words(error))")
      return exitCode(error, program)
    }
  }

  private static func exitCode(_ error: any Error, _ program: Program) -> Int32 {
    (error as? any ProcessError)?.exitCode ?? program.failureCode
  }

  private static func words(_ error: any Error) -> String {
    switch error {
    case let known as any ProcessError: known.description
    case let transport as CommunicationError: transport.description
    default: "internal error: \(error)"
    }
  }
}

extension Ranks {
  /// Open MPI's own description of itself.
  public static var libraryVersion: String {
    var length: Int32 = 0
    var text = [CChar](repeating: 0, count: Int(MPI_MAX_LIBRARY_VERSION_STRING) + 1)
    MPI_Get_library_version(&text, &length)
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
