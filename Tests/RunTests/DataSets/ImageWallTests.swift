import DataSets
import Numerics
import Testing

struct ImageWallTests {
  /// Images whose bytes are given by sample, plane, line and column.
  private func images(
    _ shape: ImageShape, count: Int, _ byte: (Int, Int, Int, Int) -> UInt8
  ) -> ImageSet {
    var bytes: [UInt8] = []
    for sample in 0..<count {
      for plane in 0..<shape.channels {
        for y in 0..<shape.height { for x in 0..<shape.width { bytes.append(byte(sample, plane, y, x)) } }
      }
    }
    return ImageSet(
      shape: shape, images: ImageBytes(bytes), labels: [UInt8](repeating: 0, count: count))
  }

  /// Noise that cannot be packed: 32 bits of a product.
  private func noise(_ sample: Int, _ plane: Int, _ y: Int, _ x: Int) -> UInt8 {
    var word = UInt64(sample * 1_000_003 + plane * 10_007 + y * 101 + x + 1) &* 0x9E37_79B9_7F4A_7C15
    word ^= word >> 29
    return UInt8(truncatingIfNeeded: (word &* 0xBF58_476D_1CE4_E5B9) >> 40)
  }

  @Test func rowsTakeTheFirstSamplesUntilTheyAreFull() {
    var wall = ImageWall(experts: 2)
    for sample in 0..<Int32(100) { wall.add(sample, expert: 1) }
    #expect(!wall.isFull)
    let shape = ImageShape(channels: 1, height: 2, width: 3)
    let small = images(shape, count: 100) { sample, _, _, _ in UInt8(sample) }
    // Twenty images of three pixels and a line between them; two rows of two lines and one between them.
    let size = wall.file(of: small).flatMap { PNG.size(of: $0) }
    #expect(size.map { [$0.width, $0.height] } == [80, 6])
    for sample in 0..<Int32(20) { wall.add(sample, expert: 0) }
    #expect(wall.isFull)
  }

  @Test func anEmptyWallIsNone() {
    let none = images(ImageShape(channels: 1, height: 2, width: 3), count: 1) { _, _, _, _ in 0 }
    #expect(ImageWall(experts: 3).file(of: none) == nil)
  }

  /// Twenty experts of CIFAR's size, of noise: 1.2 MB of pixels.
  @Test func aWallThatIsTooLargeIsMadeSmaller() throws {
    let shape = ImageShape(channels: 3, height: 32, width: 32)
    let colours = images(shape, count: 400, noise)
    var wall = ImageWall(experts: 20)
    for sample in 0..<Int32(400) { wall.add(sample, expert: Int(sample % 20)) }
    let file = try #require(wall.file(of: colours))
    #expect(file.count <= ImageWall.limit)
    let size = try #require(PNG.size(of: file))
    // A quarter of the size: at 16 pixels four images a row are 61 kB of noise.
    #expect(size.height == 20 * 9 && size.width % 9 == 0 && size.width / 9 >= 4)
  }

  @Test func whatNoPictureHoldsHasNone() {
    let shape = ImageShape(channels: 3, height: 32, width: 32)
    let colours = images(shape, count: 4000, noise)
    var wall = ImageWall(experts: 1000)
    for sample in 0..<Int32(4000) { wall.add(sample, expert: Int(sample % 1000)) }
    #expect(wall.file(of: colours) == nil)
    let planes = images(ImageShape(channels: 2, height: 2, width: 2), count: 1) { _, _, _, _ in 7 }
    var other = ImageWall(experts: 1)
    other.add(0, expert: 0)
    #expect(other.file(of: planes) == nil)
  }

  @Test(arguments: [0, 8, 24, 32])
  func aFileThatIsNoPNGHasNoSize(count: Int) {
    let file = PNG(width: 2, height: 1, channels: 1, pixels: [1, 2]).file
    #expect(PNG.size(of: Array(file.prefix(count))) == nil)
    #expect(PNG.size(of: file).map { [$0.width, $0.height] } == [2, 1])
    var other = file
    other[0] = 0
    #expect(PNG.size(of: other) == nil)
  }
}
