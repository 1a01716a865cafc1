import ArgumentParser
import DataSets
import Dist
import Files
import Foundation
import MoE
import Records
import Training

struct LaunchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "launch",
    abstract: "Start ranks by mpirun, and start them again from the newest checkpoint when some are lost.",
    usage: """
      moe-dist launch -np N [--hostfile FILE] [--max-restarts R] [--min-ranks M] -- train [<options of train>]
      moe-dist launch -np 4 --max-restarts 5 -- train --dataset mnist --experts 8 --run-dir runs/a
      """,
    discussion: """
      Runs 'mpirun -np N moe-dist train …' with the binding, the oversubscription and the settings that this host needs; \
      --dry-run shows the line. After a crash it continues with --resume auto, on fewer ranks where a host is gone; the \
      result has the same bytes. What another start cannot mend is not restarted: codes 64, 65, 66, 73 and 80, a stop, and \
      the same cause three times at the same step.

      SIGUSR1 stops the run with a checkpoint (75), SIGUSR2 has it write one; both wait until the run has begun. SIGTERM, \
      SIGINT and SIGHUP stop it like SIGUSR1 within --grace; given twice, they end it at once. An mpirun that goes on after \
      its ranks have ended is ended.
      """)

  @Option(
    name: [.customLong("np", withSingleDash: true), .customShort("n")],
    help: ArgumentHelp("Ranks.", valueName: "N"))
  var ranks: Int

  @Option(
    help: ArgumentHelp(
      "Hosts and their slots, as for mpirun. (default: this host, or what the scheduler gave)",
      valueName: "FILE"),
    completion: .file())
  var hostfile: String?

  @Option(
    help: ArgumentHelp(
      "How often a run is started again. (default: 3; 0 for commands that keep no run)", valueName: "R"))
  var maxRestarts: Int?

  @Option(
    help: ArgumentHelp("The fewest ranks to go on with when a host of --hostfile is gone.", valueName: "M"))
  var minRanks = 1

  @Option(
    help: ArgumentHelp(
      "Time for a checkpoint after SIGTERM, and for mpirun to end after its ranks.", valueName: "SECONDS"))
  var grace = 10.0

  @Flag(help: "Write the line to standard output and end.") var dryRun = false

  @Argument(
    parsing: .postTerminator,
    help: ArgumentHelp("A command of moe-dist and its options, behind --.", valueName: "command"),
    completion: .list(["train", "distill", "evaluate", "predict", "reproduce", "sweep", "bench", "doctor"]))
  var words: [String] = []

  func validate() throws {
    guard ranks >= 1, ranks <= 1_000_000 else { throw ValidationError("-np is a number of ranks from 1") }
    guard maxRestarts ?? 0 >= 0 else { throw ValidationError("--max-restarts is a number from 0") }
    guard minRanks >= 1, minRanks <= ranks else {
      throw ValidationError("--min-ranks is a number from 1 to \(ranks), the number of ranks")
    }
    guard grace >= 0, grace <= 86_400 else { throw ValidationError("--grace is a time from 0 to 86400 s") }
    guard !words.isEmpty else {
      throw ValidationError(
        "there is nothing to launch; give a command behind --, such as 'moe-dist launch -np 2 -- train'")
    }
    if let objection = MoEDist.commandObjection(LaunchWords(words).words) { throw ValidationError(objection) }
  }

  func run() throws {
    let environment = ProcessInfo.processInfo.environment
    let launched = LaunchWords(words)
    let options = try launched.keepsRun ? LaunchedRun.Options(launched) : nil
    let code = Program.prepare(environment) { () throws -> Int32 in
      let run = try options.map { try LaunchedRun($0, environment) }
      let plan = try plan(launched, run, environment)
      if dryRun {
        Console.output(try plan.line().line.text + "\n")
        return 0
      }
      let supervisor = Supervisor(
        plan, maxRestarts: plan.directory == nil ? 0 : maxRestarts ?? 3,
        limits: .init(grace: grace, start: run?.startLimit ?? Configuration().startLimit),
        environment: environment, say: Console.error)
      return try supervisor.run()
    }
    Program.end(code, environment)
  }

  private func plan(_ words: LaunchWords, _ run: LaunchedRun?, _ environment: [String: String]) throws
    -> LaunchPlan
  {
    guard !Ranks.isLaunched(in: environment) else {
      throw Failure(.usage, "launch starts mpirun itself; run it alone, not under mpirun or srun")
    }
    guard words.command != "launch" else { throw Failure(.usage, "launch cannot launch itself") }
    let directory = run?.directory
    if let directory { try RunDirectory.check(directory) }
    if directory == nil, let maxRestarts, maxRestarts > 0 {
      throw Failure(
        .usage,
        "--max-restarts \(maxRestarts) needs a run that is kept, and '\(words.words.joined(separator: " "))' keeps none; "
          + "leave --max-restarts out")
    }
    guard let mpirun = HostFacts.find("mpirun", environment) else {
      throw Failure(.notFound, "no mpirun in PATH; install Open MPI (Debian: openmpi-bin)")
    }
    let isRoot = geteuid() == 0
    let isContainer = HostFacts.isContainer(environment)
    let permissions = ["OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"]
    if isRoot, !isContainer, permissions.contains(where: { environment[$0] != "1" }) {
      throw Failure(
        .usage,
        "mpirun does not run as root outside a container; start as another user, or set \(permissions[0])=1 and "
          + "\(permissions[1])=1 if you know what that risks")
    }
    var hosts: [LaunchHost] = []
    if let hostfile {
      guard let bytes = try SafeFile.read(hostfile, limit: 1 << 24, followingLinks: true) else {
        throw Failure(.notFound, "there is no hostfile \(hostfile)")
      }
      hosts = try LaunchHost.parse(hostfile: String(decoding: bytes, as: UTF8.self), path: hostfile)
    }
    // Of a Slurm job, mpirun has the hosts from Slurm.
    let tasks = environment["SLURM_JOB_ID"] == nil ? nil : environment["SLURM_NTASKS"].flatMap { Int32($0) }
    let perTask = environment["SLURM_CPUS_PER_TASK"].flatMap { Int32($0) } ?? 1
    return LaunchPlan(
      words: words, directory: directory, ranks: ranks, minRanks: minRanks, threads: run?.threads ?? 1,
      hostfile: hostfile, hosts: hosts, allowsRoot: isRoot && isContainer, program: HostFacts.program,
      mpirun: mpirun, cores: tasks.map { Int($0) * Int(perTask) } ?? HostFacts.cores,
      isScheduled: tasks != nil)
  }
}

/// What launch has to know of a run before it starts it: what `train` will find out by itself from the same words.
private struct LaunchedRun {
  /// Nil: the words keep nothing.
  let directory: String?
  let threads: Int
  /// Seconds.
  let startLimit: Double

  /// What the parser makes of the words.
  struct Options {
    var files: ConfigurationFiles
    var layer: ConfigurationLayer
    var resume: String?
    var isKept: Bool
    /// The run that is distilled.
    var source: String?

    /// - Throws: the parser's error.
    init(_ launched: LaunchWords) throws {
      let words = MoEDist.joiningNegativeNumbers(Array(launched.words.dropFirst()))
      if launched.command == "distill" {
        let command = try DistillCommand.parse(words)
        self.init(command.options)
        source = command.source
      } else {
        self.init(try TrainCommand.parse(words).options)
      }
    }

    private init<Defaults>(_ options: TrainOptions<Defaults>) {
      files = options.files
      layer = options.settings.layer
      resume = options.resume
      isKept = !(options.dryRun || options.fastDevRun || options.printConfig)
    }
  }

  /// - Throws: ``Failure`` for a file of settings that cannot be read.
  init(_ options: Options, _ environment: [String: String]) throws {
    var layers = try options.files.layers + [options.layer]
    var directory = Self.value("run-dir", layers)
    if let resume = options.resume {
      if directory == nil, resume != "auto" { directory = pathParts(of: resume).directory }
      if let directory { layers.insert(try RunDirectory.settings(in: directory), at: 0) }
    }
    threads =
      Self.value("threads", layers).flatMap { Int($0) }.map { min(max($0, 1), 1 << 16) }
      ?? Configuration().threads
    startLimit = Self.value("start-limit", layers).flatMap { Double($0) } ?? Configuration().startLimit
    if directory == nil {
      if let source = options.source { layers.insert(try RunDirectory.settings(in: source), at: 0) }
      directory = Self.freeDirectory(layers, isDistilled: options.source != nil, environment)
    }
    self.directory = options.isKept ? directory : nil
  }

  private static func value(_ key: String, _ layers: [ConfigurationLayer]) -> String? {
    layers.flatMap(\.entries).last { $0.key == key }?.text
  }

  /// Where `train` would keep the run.
  private static func freeDirectory(
    _ layers: [ConfigurationLayer], isDistilled: Bool, _ environment: [String: String]
  ) -> String {
    let usual = Configuration()
    let chosen = value("dataset", layers)
    var dataset = chosen ?? usual.dataset
    if chosen == nil, value("data-dir", layers) == nil,
      let source = try? DataSetRegistry.source(named: dataset),
      let search = source.search(DataOptions(environment: environment)), search.directory == nil
    {
      dataset = "synthetic"
    }
    let gate = isDistilled ? nil : value("gate", layers)
    return RunDirectory.freePath(
      dataset: dataset, gate: gate ?? usual.gate.rawValue,
      date: Date().formatted(.iso8601.year().month().day()))
  }
}
