import DataSets
import Dist
import Files
import Foundation
import Numerics
import Records
import Training

/// How the process begins and ends.
enum Program {
  static let identity = Dist.Program(
    name: "moe-dist", failureCode: ExitCode.internalError.rawValue, usageCode: ExitCode.usage.rawValue)

  /// Begins with the process, so that the other ranks of the host know of it.
  static let watchdog = Watchdog(
    identity, exitCode: ExitCode.stalled.rawValue, phases: RunStage.allCases.map(\.name),
    environment: ProcessInfo.processInfo.environment)
  /// Is set in the first lines, and called on the main thread alone.
  private nonisolated(unsafe) static var onStage: ((RunStage, Int, Int) throws -> Void)?

  static func begin(_ onStage: ((RunStage, Int, Int) throws -> Void)?) {
    Self.onStage = onStage
    _ = watchdog
  }

  /// A stage of a training run begins that its trainer does not tell the watchdog of.
  static func enter(_ stage: RunStage, step: Int = 0) throws {
    watchdog.enter(phase: stage.index, step: step)
    try told(stage, step)
  }

  /// A stage begins that the watchdog knows of.
  static func told(_ stage: RunStage, _ step: Int) throws {
    try onStage?(stage, step, Ranks.rank(in: ProcessInfo.processInfo.environment))
  }

  /// Ends the process. Under a launcher the other ranks leave rank 0 the time to speak, because the first rank that ends
  /// with an error takes the job with it.
  static func end(_ code: Int32, _ environment: [String: String]) -> Never {
    let code = code == 0 ? Console.exitCode : code
    if code != 0, Ranks.isLaunched(in: environment), Ranks.rank(in: environment) != 0 { usleep(700_000) }
    watchdog.processEnds()
    Foundation.exit(code)
  }

  /// What to say where the libraries that are loaded with the program have no room: OpenBLAS starts a thread per core, each
  /// with a buffer that it asks for again and again until it gets it.
  static func addressSpaceObjection(_ environment: [String: String]) -> String? {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0, limit.rlim_cur != rlim_t.max
    else {
      return nil
    }
    let threads =
      environment["OPENBLAS_NUM_THREADS"].flatMap { Int($0) } ?? ProcessInfo.processInfo.activeProcessorCount
    // As measured: the libraries alone, and a buffer of 128 MiB with a stack per thread but the first.
    let least = 180_000_000 + 144_000_000 * (max(threads, 1) - 1)
    guard limit.rlim_cur < rlim_t(least) else { return nil }
    return
      "about \(bytesText(least)) of address space are needed for the program's libraries alone, and the limit, ulimit -v, is "
      + "\(bytesText(Int(limit.rlim_cur))); raise it, or set OPENBLAS_NUM_THREADS=1"
  }

  /// Runs what can fail alike on every rank before MPI is entered; rank 0 says the failure. Where it has said
  /// nothing after a while it has another fate, and a rank speaks for itself.
  static func prepare<Value>(_ environment: [String: String], _ body: () throws -> Value) -> Value {
    do {
      return try body()
    } catch {
      let failure = error as? Failure ?? Failure(.internalError, "internal error: \(error)")
      let words = failure.words.text(as: .options)
      let rank = Ranks.rank(in: environment)
      // What nobody expects is hardly the same on every rank.
      let isOwn = failure.code == .internalError && Ranks.count(in: environment) > 1
      if rank == 0, !isOwn {
        watchdog.processSpeaks()
        Console.error("moe-dist: \(words)")
      } else if rank == 0 || !isJobEnding(within: isOwn ? 1 : 3) {
        watchdog.processSpeaks()
        Console.error("moe-dist: rank \(rank) on host \(ProcessInfo.processInfo.hostName): \(words)")
      }
      end(failure.exitCode, environment)
    }
  }

  /// Whether another rank says why the job ends: one of this host by the board that they share, one of another host by the
  /// signal that mpirun sends when a rank has ended with an error.
  private static func isJobEnding(within seconds: Double) -> Bool {
    let limit = Date() + seconds
    while !StopSignals.raised, !watchdog.hasSpeaker {
      if Date() > limit { return false }
      usleep(20_000)
    }
    return true
  }

  /// Runs a command on its ranks, once they are known to be all there and alike.
  ///
  /// - Parameters:
  ///   - command: its name.
  ///   - alike: what ranks must have alike beside program and command.
  ///   - startLimit: seconds within which all ranks must have arrived; 0: any time.
  /// - Returns: the exit code of the process.
  static func run(
    _ command: String, _ alike: [Alike], _ environment: [String: String],
    startLimit: Double = Configuration().startLimit, _ body: (any Communicator) throws -> Int32
  ) -> Int32 {
    prepare(environment) { try enter(.start) }
    if Ranks.isLaunched(in: environment) {
      watchdog.awaitRanks(
        within: startLimit,
        advice:
          "look for a rank that is stopped, was started with other options or never began; --start-limit sets the time"
      )
    }
    return Ranks.run(identity, environment: environment, watchdog: watchdog) { comm in
      try enter(.agreement)
      let items = [Alike("version", Version.text), Alike("command", command)] + alike
      if let found = try comm.difference(in: items) { throw AgreedError(failure(found)) }
      watchdog.ranksHaveArrived()
      do {
        let code = try body(comm)
        try enter(.ending)
        return code
      } catch {
        // Settings that an error names are options of the command line here.
        guard let failure = Failure(behind: error) else { throw error }
        let spelled = Failure(failure.code, Message(failure.words.text(as: .options)))
        if error is AgreedError { throw AgreedError(spelled) }
        throw spelled
      }
    }
  }

  private static func failure(_ found: StartDifference) -> Failure {
    let other = "rank \(found.rank) on host \(found.host)"
    let advice = "start all ranks with the same program and options"
    guard let name = found.name, found.texts.root != found.texts.other else {
      return Failure(.usage, "\(other) was started otherwise than rank 0; \(advice)")
    }
    func words(_ text: String) -> String {
      if text.isEmpty { return "no \(name)" }
      return text.count > 60 ? "another \(name)" : "\(name) \(text)"
    }
    return Failure(
      .usage,
      "\(other) was started with \(words(found.texts.other)), rank 0 with \(words(found.texts.root)); \(advice)"
    )
  }

  /// What ranks must have alike of a configuration and its data: all settings but those that are about a rank's own host.
  static func alike(_ configuration: Configuration, _ data: DataSet?) -> [Alike] {
    let settings = ConfigurationSchema.settings.filter { !$0.mayDiffer }.map {
      Alike("--\($0.key)", $0.text(configuration) ?? "")
    }
    let fingerprints = (data?.fingerprints ?? [:]).sorted { $0.key < $1.key }
    return settings + [
      Alike("data", fingerprints.map { "\($0.key) \($0.value)" }.joined(separator: ", "))
    ]
  }
}

/// Standard error and standard output. Where nobody reads, words are lost and nothing else; a device that is full ends the
/// process with the code for input and output, after its work. Words are cleaned of what would steer a terminal; data, which
/// programs read, has the escapes of its format.
enum Console {
  private nonisolated(unsafe) static var failure: Int32 = 0

  static func error(_ line: String) { write(line.printableLine + "\n", to: STDERR_FILENO) }

  /// Text for people.
  static func output(_ text: String) { data(text.printable) }

  /// Text for people that is clean already, but for the colours of a picture.
  static func drawing(_ text: String) { data(text) }

  /// What a command found: JSON for programs, or text for people.
  static func result(
    asJSON: Bool, _ json: @autoclosure () -> JSONValue, _ text: @autoclosure () -> String
  ) {
    if asJSON { data(json().text(pretty: true) + "\n") } else { output(text()) }
  }

  /// JSON, YAML or CSV, byte for byte.
  static func data(_ text: String) { data(Array(text.utf8)) }

  static func data(_ bytes: [UInt8]) {
    guard failure == 0, let code = write(bytes, to: STDOUT_FILENO), code != EPIPE else { return }
    failure = code
    error("moe-dist: cannot write standard output: \(String(cString: strerror(code)))")
  }

  /// A line that is drawn again, on a terminal.
  static func draw(_ line: String) { write("\r\(line.printableLine)\u{1B}[K", to: STDERR_FILENO) }

  /// What standard output has to say about how the process ends.
  static var exitCode: Int32 { failure == 0 ? 0 : ExitCode.inputOutput.rawValue }

  /// - Returns: the system's number of the error; nil: all is written.
  @discardableResult
  private static func write(_ text: String, to descriptor: Int32) -> Int32? {
    write(Array(text.utf8), to: descriptor)
  }

  private static func write(_ bytes: [UInt8], to descriptor: Int32) -> Int32? {
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes {
        Foundation.write(descriptor, $0.baseAddress! + done, $0.count - done)
      }
      if count < 0, errno == EINTR || errno == EAGAIN { continue }
      guard count > 0 else { return errno }
      done += count
    }
    return nil
  }
}
