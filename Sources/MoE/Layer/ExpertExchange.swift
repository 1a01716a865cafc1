package import Dist
package import KernelInterface
package import Networks
package import Numerics

/// The expert half of a layer: rows to their experts, answers back into slots, and the gradients of the slots to the
/// experts. Knows no gate and no loss.
package final class ExpertExchange {
  package let placement: ExpertPlacement
  package let bank: ExpertBank
  private let layout: AnswerLayout
  private let exchange: Exchange
  private let clock: any LayerClock

  /// - Parameter account: what counts the rows that are carried; nil where nobody asks.
  package init(
    _ communicator: any Communicator, placement: ExpertPlacement, bank: ExpertBank, layout: AnswerLayout,
    clock: any LayerClock, account: ExchangeAccount? = nil
  ) {
    self.placement = placement
    self.bank = bank
    self.layout = layout
    self.clock = clock
    exchange = Exchange(communicator, placement: placement, account: account)
  }

  /// Rows on their way: they have left, and are read by ``take(_:)``.
  package struct Routed {
    package let plan: RoutingPlan
    let rows: ExpertBank.Rows
  }

  /// Sends rows to the owners of their experts. Collective.
  package func send(_ plan: RoutingPlan, _ rows: some LayerRows) throws -> Routed {
    let codec = rows.codec
    try clock.meet()
    let arrival = try clock.measure(part: .plan) { try exchange.announce(plan) }
    let bytes = try clock.measure(part: .dispatch) {
      try exchange.dispatch(plan, to: arrival, rowBytes: codec.rowBytes) { codec.write($0, to: $1) }
    }
    clock.dispatched { (0..<placement.experts).map { plan.pairs(of: $0) } }
    return Routed(plan: plan, rows: ExpertBank.Rows(bytes: bytes, arrival: arrival, codec: codec))
  }

  /// Reads what arrived; nil where no expert is here or each takes rows of its own. Valid until the next call.
  package func take(_ routed: Routed) -> RowBlock? { bank.take(routed.rows) }

  /// Runs the experts on rows that were taken, and brings their answers into slots. Collective.
  ///
  /// - Parameter slots: [slots · width][rows of the shard].
  /// - Returns: the answers of the experts here.
  package func answer(_ routed: Routed, mode: NetworkMode, into slots: FeatureMap) throws -> [FeatureMap] {
    let answers = try clock.measure(part: .experts) {
      try bank.forward(routed.rows, mode: mode, width: layout.width, isTapped: layout.hidden > 0)
    }
    try clock.meet()
    try clock.measure(part: .combine) {
      try exchange.combine(answers, from: routed.rows.arrival, routed.plan, into: slots)
    }
    clock.combined()
    return answers
  }

  /// Takes the slots' gradients to the experts, on to their parameters, and to the rows where they are asked for.
  /// Collective.
  ///
  /// - Parameter rows: [features][rows of the shard], overwritten; nil: rows have no gradient.
  package func backward(
    _ slots: FeatureMap, _ routed: Routed, answers: [FeatureMap], rows: FeatureMap?, in workspace: Workspace
  ) throws {
    let arrival = routed.rows.arrival
    let gradients = bank.gradientMaps(answers)
    try clock.meet()
    try clock.measure(part: .returning) {
      try exchange.returnGradients(slots, routed.plan, to: arrival, into: gradients)
    }
    let ofRows = try clock.measure(part: .expertBackward) {
      try bank.backward(gradients, rowFeatures: rows?.features)
    }
    guard let rows else { return }
    try clock.meet()
    try clock.measure(part: .returning) {
      try exchange.dispatchAdjoint(ofRows, from: arrival, routed.plan, into: rows, in: workspace)
    }
  }
}
