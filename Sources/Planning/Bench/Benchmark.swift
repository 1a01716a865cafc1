public import DataSets
public import Dist
internal import MoE
internal import Numerics
public import Training

/// What a benchmark measures.
public struct BenchmarkRequest: Sendable {
  public enum Section: String, CaseIterable, Sendable {
    case products
    case exchange
    case step
    case law
    case workloads
  }

  public var configuration: Configuration
  public var size: DataSetSize
  public var sections: [Section] = Section.allCases
  public var workloads: [Workload] = Workload.allCases
  /// Steps that are counted.
  public var steps = 30
  /// Steps that are not.
  public var warmUp = 5
  /// Whether the costs are measured, too.
  public var measuresCosts = false

  public init(configuration: Configuration, size: DataSetSize) {
    self.configuration = configuration
    self.size = size
  }
}

/// Where a benchmark runs, for its heading.
public struct BenchmarkPlace: Equatable, Sendable {
  public var hosts: [String]
  /// Cores of every rank's host.
  public var cores: [Int]
  /// Cores that every rank may use.
  public var bindings: [String]
  public var kernels: [String]
  public var versions: [String: String]
  /// The processor level in use on rank 0.
  public var level: String

  public init(
    hosts: [String], cores: [Int], bindings: [String], kernels: [String], versions: [String: String],
    level: String
  ) {
    self.hosts = hosts
    self.cores = cores
    self.bindings = bindings
    self.kernels = kernels
    self.versions = versions
    self.level = level
  }

  /// Whether some host has more ranks than cores: its times are no measurement of anything but that.
  public var isOversubscribed: Bool {
    hosts.indices.contains { rank in hosts.filter { $0 == hosts[rank] }.count > cores[rank] }
  }
}

/// Everything that was measured.
public struct BenchmarkResult {
  public let place: BenchmarkPlace
  package let outline: ModelOutline
  package var peak: Double?
  package var products: [ProductBenchmark.Row] = []
  package var kernels: [KernelBenchmark.Row] = []
  package var exchange: [ExchangeBenchmark.Row] = []
  package var messages: MessageCost?
  package var comparison: ExchangeBenchmark.Comparison?
  package var step: StepBenchmark?
  package var law: LawBenchmark?
  package var workloads: [WorkloadBenchmark.Row] = []
  /// Sections and workloads that were asked for and mean nothing here, one sentence each.
  package var notes: [String] = []
  /// What `--save` keeps.
  public var costs: CostFile?
}

/// Measures what a request names, on all ranks.
public enum Benchmark {
  /// Collective; the result is complete on rank 0.
  ///
  /// - Throws: ``Failure`` where the model does not fit the data.
  public static func run(
    _ request: BenchmarkRequest, place: BenchmarkPlace, over communicator: any Communicator
  ) throws -> BenchmarkResult {
    let configuration = request.configuration.resolvedForNoise
    // Steps are on random images, as many as a batch has.
    let noise = DataSetSize(
      shape: request.size.shape, classes: request.size.classes, trainingSamples: configuration.batchSize,
      testSamples: 0)
    try configuration.checkMemory(size: noise, hasData: false, over: communicator)
    let outline = try ModelOutline(configuration, size: request.size)
    var result = BenchmarkResult(place: place, outline: outline)
    let ranks = communicator.size
    if request.sections.contains(.products) {
      // Every rank computes, as in a step; rank 0's figures are shown.
      result.peak = PeakRate.measure()
      result.products = try ProductBenchmark(outline).measure()
      result.kernels = KernelBenchmark(outline).measure()
    }
    let augmentation = try DataSetRegistry.source(named: configuration.dataset).augmentation
    let needsStep = request.sections.contains(.exchange) && ranks > 1 || request.sections.contains(.step)
    let timer =
      needsStep
      ? try StepTimer(
        configuration, size: request.size, augmentation: augmentation, communicator: communicator) : nil
    if request.sections.contains(.exchange) || request.measuresCosts {
      if ranks > 1 {
        let benchmark = ExchangeBenchmark(communicator)
        result.exchange = try benchmark.sweep(repeats: max(20, request.steps), seconds: 5e-4)
        result.messages = ExchangeBenchmark.cost(of: result.exchange, ranks: ranks)
        if request.sections.contains(.exchange) {
          // Experts on every rank, so that something travels both ways.
          let placement = try ExpertPlacement(
            "block", experts: outline.experts, ranks: ranks, load: outline.flopLoad)
          result.comparison = try benchmark.compare(
            outline, placement: placement, repeats: max(20, request.steps))
        } else {
          result.exchange = []
        }
      } else if request.sections.contains(.exchange) {
        result.notes.append("the exchange needs two ranks: mpirun -np 2 moe-dist bench")
      }
    }
    if request.sections.contains(.step), let timer {
      result.step = try StepBenchmark(
        timer, communicator: communicator, warmUp: request.warmUp, steps: request.steps)
    }
    if request.sections.contains(.law) {
      if ranks > 1, outline.gateComputes, outline.trainsGate {
        result.law = try LawBenchmark(
          configuration, size: request.size, augmentation: augmentation, communicator: communicator,
          warmUp: request.warmUp, steps: request.steps)
      } else {
        result.notes.append("the price of the law needs a gate that is trained, and two ranks")
      }
    }
    if request.sections.contains(.workloads), !request.workloads.isEmpty {
      let benchmark = try WorkloadBenchmark(configuration, size: request.size, communicator: communicator)
      for workload in request.workloads {
        if let objection = workload.objection(benchmark.placement) {
          result.notes.append("workload \(workload.rawValue) \(objection)")
          continue
        }
        result.workloads.append(
          try benchmark.measure(workload, warmUp: request.warmUp, steps: request.steps))
      }
    }
    if request.measuresCosts {
      let measured = try MeasuredCosts.onRoot(configuration, size: request.size, over: communicator)
      result.costs = CostFile(
        costs: measured, messages: result.messages, ranks: ranks, isOversubscribed: place.isOversubscribed,
        place: ["host": place.hosts[0], "blas_kernel": place.kernels[0], "level": place.level])
    }
    return result
  }
}

extension Configuration {
  /// The configuration for a run on random images: nothing is read from files.
  var resolvedForNoise: Configuration {
    var resolved = self
    resolved.initFrom = nil
    resolved.initExpertsFrom = nil
    if resolved.similarityScale == "dataset" { resolved.similarityScale = "1" }
    return resolved
  }
}
