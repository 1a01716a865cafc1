internal import Dist
internal import Files
internal import KernelInterface
internal import Numerics

extension ProcessorLevel {
  /// Refuses ranks with fused multiply-add beside ranks without: what a rank computes would then depend on its host.
  /// Collective.
  static func agree(over communicator: any Communicator) throws {
    let isFused = try communicator.allGather([current.implementation.isFused])
    guard Set(isFused).count > 1 else { return }
    let all = try communicator.allGather(
      text: "\(current.name) on rank \(communicator.rank), host \(communicator.hostName)")
    throw AgreedError(
      Failure(
        .usage,
        "ranks with fused multiply-add beside ranks without (\(all.joined(separator: "; "))): results would depend on "
          + "where experts live; set \(variable)=v2 on every host"))
  }
}
