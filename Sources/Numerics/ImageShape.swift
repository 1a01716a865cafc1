/// Height, width and channels of an image; a row of bytes is channel-major (C, H, W), as PyTorch flattens it.
public struct ImageShape: Equatable, Sendable {
  public let channels: Int
  public let height: Int
  public let width: Int

  public init(channels: Int, height: Int, width: Int) {
    self.channels = channels
    self.height = height
    self.width = width
  }

  /// Bytes of an image.
  public var pixels: Int { channels * height * width }
}
