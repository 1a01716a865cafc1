import ArgumentParser
import Dist
import Files
import Foundation
import Planning
import Training

struct PlanCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan",
    abstract: "Predict step time, memory and scaling on a cluster that you describe.",
    discussion: """
      Takes the options of train for the model, and starts no ranks. Without --costs it first measures the model's step on \
      this core, about a second; 'moe-dist bench --save FILE' measures once and for the links, too.
      """)

  @OptionGroup var settings: SettingOptions<TrainingDefaults>

  @OptionGroup var files: ConfigurationFiles

  @Option(help: ArgumentHelp("Ranks, from 1 to 1000000.", valueName: "N"))
  var ranks = 2

  @Option(help: ArgumentHelp("Ranks on a host. (default: all)", valueName: "P"))
  var ranksPerNode: Int?

  @Option(
    help: ArgumentHelp("Costs that 'bench --save' wrote. (default: measured now)", valueName: "FILE"),
    completion: .file())
  var costs: String?

  @Option(help: ArgumentHelp("Of a message within a host. (default: as measured, or 0.5)", valueName: "µs"))
  var latency: Double?

  @Option(help: ArgumentHelp("Of a message within a host. (default: as measured, or 8)", valueName: "GB/s"))
  var bandwidth: Double?

  @Option(help: ArgumentHelp("Of a message between hosts.", valueName: "µs"))
  var latencyBetween = 2.0

  @Option(help: ArgumentHelp("Of a host's link, which its ranks share.", valueName: "GB/s"))
  var bandwidthBetween = 10.0

  @Option(
    help: ArgumentHelp(
      "A finished run: show the predicted beside its measured step. Takes model and ranks from it.",
      valueName: "RUN"), completion: .directory)
  var against: String?

  @Flag(help: "Write one JSON document to standard output instead of tables.") var json = false

  func run() throws {
    let environment = ProcessInfo.processInfo.environment
    // A plan needs one process, however many were started.
    guard Ranks.rank(in: environment) == 0 else { return }
    Program.prepare(environment) { try write(environment) }
  }

  private func write(_ environment: [String: String]) throws {
    try check()
    let ofRun = try against.map { try ConfigurationLayer(file: "\($0)/config.yaml") }
    let configuration = try settings.resolve([ofRun].compactMap { $0 } + files.layers)
    let size = try configuration.dataSize(environment)
    let outline = try ModelOutline(configuration, size: size)
    let file = try costs.map { path in try CostFile(path: path) }
    let measured = try file?.costs ?? MeasuredCosts.here(configuration, size: size)
    let (links, source) = self.links(file)
    if let against {
      let comparison = try RunComparison(
        summary: "\(against)/summary.json", costs: measured, outline: outline, links: links)
      Console.result(asJSON: json, comparison.json, comparison.text)
      return
    }
    let plan = try ClusterPlan(
      PlanRequest(
        outline: outline, costs: measured, links: links, sources: [costsSource(file), source], ranks: ranks,
        placement: configuration.placement))
    Console.result(asJSON: json, plan.json, plan.text(as: .options))
  }

  private func check() throws {
    if let ranksPerNode, !(1...1_000_000).contains(ranksPerNode) {
      throw Failure(
        .usage,
        "--ranks-per-node \(ranksPerNode) is not allowed: expected a whole number from 1 to 1000000")
    }
    for (option, value) in [("--latency", latency), ("--latency-between", latencyBetween)] {
      guard let value, !(value.isFinite && value >= 0) else { continue }
      throw Failure(.usage, "\(option) \(value) is not allowed: expected microseconds, at least 0")
    }
    for (option, value) in [("--bandwidth", bandwidth), ("--bandwidth-between", bandwidthBetween)] {
      guard let value, !(value.isFinite && value > 0) else { continue }
      throw Failure(.usage, "\(option) \(value) is not allowed: expected GB/s above 0")
    }
  }

  /// The links, and where their figures come from.
  private func links(_ file: CostFile?) -> (Links, String) {
    let between = MessageCost(latency: latencyBetween * 1e-6, bandwidth: bandwidthBetween * 1e9)
    var within = file?.messages
    var words = "links: within a host as measured on \(file?.ranks ?? 1) ranks"
    if within == nil || latency != nil || bandwidth != nil {
      let (micro, giga) = (latency ?? 0.5, bandwidth ?? 8)
      within = MessageCost(latency: micro * 1e-6, bandwidth: giga * 1e9)
      let given = latency != nil || bandwidth != nil
      words = "links: within a host \(micro) µs, \(giga) GB/s (\(given ? "given" : "assumed"))"
    }
    words += "; between hosts \(latencyBetween) µs, \(bandwidthBetween) GB/s per host"
    return (Links(within: within ?? between, between: between, ranksPerHost: ranksPerNode), words)
  }

  private func costsSource(_ file: CostFile?) -> String {
    guard let file, let costs else { return "costs: measured now, on this core" }
    let place = file.place.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    return "costs: \(costs), measured on \(file.ranks) rank\(file.ranks == 1 ? "" : "s")"
      + (file.isOversubscribed ? ", OVERSUBSCRIBED" : "") + (place.isEmpty ? "" : " (\(place))")
  }
}
