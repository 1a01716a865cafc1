internal import KernelInterface
internal import Numerics

extension Workspace {
  /// Planes of their own with zeros around them.
  func planes(channels: Int, height: Int, width: Int, rows: Int, border: Int) -> PlaneMap {
    let floats = PlaneMap.floats(
      channels: channels, height: height, width: width, rows: rows, border: border)
    let map = PlaneMap(
      base: self.floats(floats), channels: channels, height: height, width: width, rows: rows,
      border: border)
    map.clearBorder()
    return map
  }
}
