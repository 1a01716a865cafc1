/// Height, width and channels of an image; a row of bytes is channel-major (C, H, W), as PyTorch flattens it.
public struct ImageShape: Equatable, Sendable {
  /// C; 1 of a grey image.
  public let channels: Int
  /// H, in pixels.
  public let height: Int
  /// W, in pixels.
  public let width: Int

  /// The shape C × H × W.
  public init(channels: Int, height: Int, width: Int) {
    self.channels = channels
    self.height = height
    self.width = width
  }

  /// Values of an image over all channels, C·H·W: bytes where it is stored, features where it is a row.
  public var pixels: Int { channels * height * width }
}
