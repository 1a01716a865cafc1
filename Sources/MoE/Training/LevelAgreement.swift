internal import Dist
internal import KernelInterface

extension ProcessorLevel {
  /// Refuses ranks with fused multiply-add beside ranks without: what a rank computes would then depend on its host.
  /// Collective.
  static func agree(over communicator: any Communicator) throws {
    let mine = "\(current.name) on rank \(communicator.rank), host \(communicator.hostName)"
    let isFused = current.implementation.isFused
    let some = try communicator.allReduceMax(isFused ? 1 : 0) == 1
    let none = try communicator.allReduceMax(isFused ? 0 : 1) == 1
    guard some && none else { return }
    let all = try communicator.allGather(text: mine)
    throw AgreedError(
      Failure(
        .usage,
        "ranks with fused multiply-add beside ranks without (\(all.joined(separator: "; "))): results would depend on "
          + "where experts live; set \(variable)=v2 on every host"))
  }
}
