/// Where a rank's time goes. The phases of a run add up to its loop time.
public enum Phase: String, CaseIterable, Sendable {
  case input
  case trunk
  case gate
  case plan
  case dispatch
  case experts
  case combine
  case returning = "return"
  case loss
  case gateBackward = "gate backward"
  case expertBackward = "expert backward"
  case trunkBackward = "trunk backward"
  case optimiser
  case metrics
  case evaluation
  case checkpoint
  case waiting
  case other

  /// Its place among all.
  package var index: Int { Phase.allCases.firstIndex(of: self) ?? 0 }
}
