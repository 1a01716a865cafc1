import CZlib

/// A picture of 8 bits per channel, grey or RGB, as a file of Portable Network Graphics (ISO/IEC 15948).
package struct PNG {
  package let width: Int
  package let height: Int
  /// 1 for grey, 3 for red, green and blue.
  package let channels: Int
  /// [height][width][channels]
  package let pixels: [UInt8]

  package init(width: Int, height: Int, channels: Int, pixels: [UInt8]) {
    precondition(
      width > 0 && height > 0 && [1, 3].contains(channels), "a picture has pixels, grey or coloured")
    precondition(
      pixels.count == width * height * channels, "there is a byte for every channel of every pixel")
    self.width = width
    self.height = height
    self.channels = channels
    self.pixels = pixels
  }

  /// The eight bytes that every file begins with.
  package static let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]

  /// The whole file.
  package var file: [UInt8] {
    let header = Self.bytes(width) + Self.bytes(height) + [8, channels == 1 ? 0 : 2, 0, 0, 0]
    return Self.signature + Self.chunk("IHDR", header) + Self.chunk("IDAT", Self.deflated(filtered))
      + Self.chunk("IEND", [])
  }

  /// Lines with the filter "up": each byte less the one above it, behind the filter's number.
  private var filtered: [UInt8] {
    let line = width * channels
    var filtered: [UInt8] = []
    filtered.reserveCapacity(height * (line + 1))
    for row in 0..<height {
      filtered.append(2)
      for column in 0..<line {
        let above = row == 0 ? 0 : pixels[(row - 1) * line + column]
        filtered.append(pixels[row * line + column] &- above)
      }
    }
    return filtered
  }

  private static func deflated(_ bytes: [UInt8]) -> [UInt8] {
    var count = compressBound(UInt(bytes.count))
    var packed = [UInt8](repeating: 0, count: Int(count))
    precondition(
      compress2(&packed, &count, bytes, UInt(bytes.count), Z_BEST_COMPRESSION) == Z_OK,
      "the bound of the compressed size has room")
    return Array(packed[..<Int(count)])
  }

  private static func chunk(_ name: String, _ content: [UInt8]) -> [UInt8] {
    let checked = Array(name.utf8) + content
    let sum = crc32(0, checked, UInt32(checked.count))
    return bytes(content.count) + checked + bytes(Int(sum))
  }

  /// A number in four bytes, the highest first.
  private static func bytes(_ number: Int) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: number >> (24 - 8 * $0)) }
  }

  /// Width and height of a file, from its header; nil where it is no such file.
  package static func size(of file: [UInt8]) -> (width: Int, height: Int)? {
    guard file.count >= 33, file.starts(with: signature), file[12..<16].elementsEqual("IHDR".utf8) else {
      return nil
    }
    func number(_ place: Int) -> Int { file[place..<place + 4].reduce(0) { $0 << 8 | Int($1) } }
    let (width, height) = (number(16), number(20))
    guard 1...1 << 20 ~= width, 1...1 << 20 ~= height else { return nil }
    return (width, height)
  }
}
