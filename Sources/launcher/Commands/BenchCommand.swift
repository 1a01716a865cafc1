import ArgumentParser
import DataSets
import Dist
import Files
import Foundation
import Numerics
import Planning
import Records
import Training

struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measure products, exchange, step and imbalance; alone or under mpirun.",
    discussion: """
      Takes the options of train for the model; images are random, so no files are read. Times are medians with the tenth \
      and ninetieth percentile, of the slowest rank. For example: mpirun -np 2 moe-dist bench --dataset mnist --save c.json
      """)

  @OptionGroup var settings: SettingOptions<TrainingDefaults>

  @OptionGroup var files: ConfigurationFiles

  @Option(
    help: ArgumentHelp(
      "What to measure, with commas between: \(Words.all(BenchmarkRequest.Section.self)). (default: all)",
      valueName: "WORDS"), completion: .words(of: BenchmarkRequest.Section.self))
  var sections: String?

  @Option(
    help: ArgumentHelp(
      "Forced routings, with commas between: all, none, \(Words.all(Workload.self)).", valueName: "WORDS"),
    completion: .list(["all", "none"] + Workload.allCases.map(\.rawValue)))
  var workloads = "all"

  @Option(help: ArgumentHelp("Steps that are counted, from 1 to 100000.", valueName: "N"))
  var steps = 30

  @Option(help: ArgumentHelp("Steps before them that are not, from 0 to 100000.", valueName: "N"))
  var untimedSteps = 5

  @Option(
    help: ArgumentHelp("Measure the costs that plan reads, and write them to a file.", valueName: "FILE"),
    completion: .file())
  var save: String?

  @Flag(help: "Write one JSON document to standard output instead of tables.") var json = false

  func run() throws {
    let environment = ProcessInfo.processInfo.environment
    let request = Program.prepare(environment) { try makeRequest(environment) }
    let code = Program.run("bench", alike(request), environment, startLimit: request.configuration.startLimit)
    { comm in
      let place = BenchmarkPlace(
        hosts: try comm.allGather(text: comm.hostName),
        cores: try comm.allGather([ProcessInfo.processInfo.activeProcessorCount]),
        bindings: try comm.allGather(text: Binding.cores),
        kernels: try comm.allGather(text: BLAS.kernelName),
        versions: [
          "moe-dist": Version.text, "OpenBLAS": BLAS.version,
          "MPI": BuildText.mpi,
        ], level: ProcessorLevel.current.name)
      let result = try Benchmark.run(request, place: place, over: comm)
      guard comm.rank == 0 else { return 0 }
      if let save, let costs = result.costs { try costs.write(to: save) }
      if request.configuration.products == .openblas, let advice = BLAS.kernelAdvice {
        Console.error("NOTE: \(advice)")
      }
      Console.result(asJSON: json, result.json, result.text)
      return 0
    }
    Program.end(code, environment)
  }

  private func alike(_ request: BenchmarkRequest) -> [Alike] {
    let sections = request.sections.map(\.rawValue).joined(separator: ",")
    let workloads = request.workloads.map(\.rawValue).joined(separator: ",")
    return Program.alike(request.configuration, nil) + [
      Alike("--sections", sections), Alike("--workloads", workloads), Alike("--steps", String(steps)),
      Alike("--untimed-steps", String(untimedSteps)), Alike("--save", save ?? ""),
    ]
  }

  private func makeRequest(_ environment: [String: String]) throws -> BenchmarkRequest {
    let configuration = try settings.resolve(files.layers)
    if let save { try CostFile.check(output: save) }
    var request = BenchmarkRequest(
      configuration: configuration, size: try configuration.dataSize(environment))
    _ = try ModelOutline(configuration, size: request.size)
    if let sections { request.sections = try Words.list(sections, option: "--sections") }
    request.workloads =
      workloads == "all"
      ? Workload.allCases : workloads == "none" ? [] : try Words.list(workloads, option: "--workloads")
    for (option, value, least) in [("--steps", steps, 1), ("--untimed-steps", untimedSteps, 0)] {
      guard (least...100_000).contains(value) else {
        throw Failure(
          .usage, "\(option) \(value) is not allowed: expected a whole number from \(least) to 100000")
      }
    }
    request.steps = steps
    request.warmUp = untimedSteps
    request.measuresCosts = save != nil
    return request
  }
}

/// The cores that this process may use.
enum Binding {
  /// As Linux says it, e.g. `0-1`; `unknown` elsewhere.
  static var cores: String {
    let status = SafeFile.systemText("/proc/self/status") ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("Cpus_allowed_list:") }
    return line?.split(whereSeparator: \.isWhitespace).last.map(String.init) ?? "unknown"
  }
}

/// Lists of words with commas between them.
enum Words {
  static func all<Word: RawRepresentable & CaseIterable>(_: Word.Type) -> String
  where Word.RawValue == String {
    Word.allCases.map(\.rawValue).joined(separator: ", ")
  }

  /// - Throws: ``Failure`` that names a word that is none, and its nearest neighbour.
  static func list<Word: RawRepresentable & CaseIterable>(_ text: String, option: String) throws -> [Word]
  where Word.RawValue == String {
    try text.split(separator: ",", omittingEmptySubsequences: false).map { part in
      guard let word = Word(rawValue: String(part)) else {
        throw Failure(
          .usage,
          "\(option) \(text): '\(part)' is unknown\(didYouMean(String(part), among: Word.allCases.map(\.rawValue)))"
            + "; known are \(all(Word.self))")
      }
      return word
    }
  }
}

extension SettingOptions {
  /// The configuration of files and the command line, for commands that train nothing.
  func resolve(_ files: [ConfigurationLayer]) throws -> Configuration {
    try Configuration.resolve(files + [layer]).configuration
  }
}

extension Configuration {
  /// The size of the data set that it names, from its files only where nothing else tells.
  func dataSize(_ environment: [String: String]) throws -> DataSetSize {
    guard let size = try DataSetRegistry.source(named: dataset).publishedSize else {
      return DataSetSize(try loadData(environment))
    }
    return DataSetSize(
      shape: size.shape, classes: size.classes, trainingSamples: trainSamples ?? size.trainingSamples,
      testSamples: testSamples ?? size.testSamples)
  }
}
