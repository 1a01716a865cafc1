public import DataSets
public import Dist
internal import Files
internal import Numerics
internal import Records
public import Training

#if canImport(Glibc)
  internal import Glibc
#endif

/// Costs that are measured before they are used, the same on every rank.
public enum MeasuredCosts {
  /// Measured on this core, without ranks.
  public static func here(_ configuration: Configuration, size: DataSetSize) throws -> StepCosts {
    BLAS.useOneThread()
    return try Calibration(configuration.resolvedForNoise, size: size).measure()
  }

  /// Rank 0 measures while the others wait; all get its figures. Collective.
  package static func onRoot(
    _ configuration: Configuration, size: DataSetSize, over communicator: any Communicator
  ) throws -> StepCosts {
    var text = ""
    var failure: Failure?
    if communicator.rank == 0 {
      do {
        text = try here(configuration, size: size).json.text()
      } catch {
        failure = error as? Failure ?? Failure(.internalError, "the costs could not be measured: \(error)")
      }
    }
    try communicator.agree(on: failure)
    // Numbers are written so that they read back as the same values.
    guard let costs = StepCosts(try JSONValue(parsing: communicator.broadcast(text: text))) else {
      preconditionFailure("costs read back what they write")
    }
    return costs
  }

  /// What messages between these ranks cost; collective, the same on every rank; nil on one rank.
  package static func messages(over communicator: any Communicator) throws -> MessageCost? {
    guard communicator.size > 1 else { return nil }
    let rows = try ExchangeBenchmark(communicator).sweep(repeats: 5, seconds: 1e-4)
    return ExchangeBenchmark.cost(of: rows, ranks: communicator.size)
  }

  /// The cost model that places a run's experts, where the placement is left to it; nil where there is no choice, and
  /// where ranks share cores, so that times say nothing and FLOPs decide. Collective.
  public static func model(
    _ configuration: Configuration, size: DataSetSize, over communicator: any Communicator
  ) throws -> (any StepForecast)? {
    guard configuration.placement == "auto", communicator.size > 1, configuration.modelExperts > 1 else {
      return nil
    }
    let neighbours = try communicator.allGather(text: communicator.hostName).filter {
      $0 == communicator.hostName
    }.count
    let isShared = neighbours > sysconf(Int32(_SC_NPROCESSORS_ONLN))
    guard try communicator.allReduceMax(isShared ? 1 : 0) == 0 else { return nil }
    let costs = try onRoot(configuration, size: size, over: communicator)
    let link = try messages(over: communicator) ?? MessageCost(latency: 0, bandwidth: .infinity)
    return StepModel(
      try ModelOutline(configuration, size: size), costs,
      Links(within: link, between: link, ranksPerHost: nil))
  }
}
