package import Files
internal import Foundation

/// A directory of its own for one test, removed at its end.
package final class TemporaryDirectory {
  package let path: String

  package init() {
    path = NSTemporaryDirectory() + "/moe-dist-tests-" + UUID().uuidString
    try! FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// Writes a file, and the directories above it; returns its path.
  @discardableResult
  package func write(_ name: String, _ bytes: [UInt8]) -> String {
    let file = path + "/" + name
    try! FileManager.default.createDirectory(
      atPath: (file as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    try! Data(bytes).write(to: URL(fileURLWithPath: file))
    return file
  }
}

/// Big-endian words, then bytes.
package func idx(_ words: [UInt32], _ data: [UInt8] = []) -> [UInt8] {
  words.flatMap { word in [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: word >> UInt32($0)) } } + data
}

package func idxImages(_ count: Int, _ rows: Int, _ columns: Int, _ data: [UInt8]? = nil) -> [UInt8] {
  idx(
    [0x803, UInt32(count), UInt32(rows), UInt32(columns)],
    data ?? (0..<count * rows * columns).map { UInt8(truncatingIfNeeded: $0 * 7) })
}

package func idxLabels(_ labels: [UInt8]) -> [UInt8] { idx([0x801, UInt32(labels.count)], labels) }

/// CRC-32 as gzip defines it (RFC 1952), bit by bit.
package func crc32(_ bytes: [UInt8]) -> UInt32 {
  ~bytes.reduce(~0 as UInt32) { crc, byte in
    (0..<8).reduce(crc ^ UInt32(byte)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0xEDB8_8320 : value >> 1 }
  }
}

private func littleEndian(_ word: UInt32) -> [UInt8] {
  [0, 8, 16, 24].map { UInt8(truncatingIfNeeded: word >> UInt32($0)) }
}

private let gzipHeader: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255]

/// A gzip member of stored blocks (RFC 1951, 3.2.4).
package func gzip(_ bytes: [UInt8], crc: UInt32? = nil, length: UInt32? = nil) -> [UInt8] {
  var member = gzipHeader
  var start = 0
  repeat {
    let end = min(start + 65_535, bytes.count)
    let size = UInt16(end - start)
    member.append(end == bytes.count ? 1 : 0)
    member += [UInt8(size & 255), UInt8(size >> 8), UInt8(~size & 255), UInt8(~size >> 8)]
    member += bytes[start..<end]
    start = end
  } while start < bytes.count
  return member + littleEndian(crc ?? crc32(bytes)) + littleEndian(length ?? UInt32(bytes.count))
}

/// A gzip file that inflates to `bytes` and then `repeats` · 2064 zeros, 13 bytes for 2064, and has no end.
///
/// The second block uses the fixed codes: the literal 0, then matches of length 258 at distance 1. Such a match is
/// 8 bits of 285 (11000101) and 5 bits of distance 0 (00000); eight of them are 13 whole bytes.
package func gzipBomb(_ bytes: [UInt8], repeats: Int) -> [UInt8] {
  precondition(bytes.count < 65_536)
  let size = UInt16(bytes.count)
  var file =
    gzipHeader + [0, UInt8(size & 255), UInt8(size >> 8), UInt8(~size & 255), UInt8(~size >> 8)] + bytes
  let match = "1100010100000"
  // Not the last block (0), fixed codes (10, low bit first), the literal 0 (00110000).
  let bits = "0" + "10" + "00110000" + String(repeating: match, count: 8 * 2)
  let all = Array(bits.utf8)
  func byte(_ index: Int) -> UInt8 {
    (0..<8).reduce(0) { $0 | (all[8 * index + $1] == UInt8(ascii: "1") ? 1 << $1 : 0) }
  }
  file.append(byte(0))
  let period = (1...13).map(byte)
  for _ in 0..<repeats { file += period }
  return file
}

/// The failure that a piece of code throws, and the seconds it took.
package func failure(_ body: () throws -> Void) -> (failure: Failure?, seconds: Double) {
  let start = ContinuousClock.now
  var found: Failure?
  do { try body() } catch { found = error as? Failure }
  let duration = (ContinuousClock.now - start).components
  return (found, Double(duration.seconds) + Double(duration.attoseconds) * 1e-18)
}

extension TemporaryDirectory {
  package func write(_ bytes: [UInt8], to name: String) throws -> String {
    let file = path + "/" + name
    try Data(bytes).write(to: URL(fileURLWithPath: file))
    return file
  }

  package func read(_ name: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(fileURLWithPath: path + "/" + name)))
  }

  package var names: [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
  }
}

/// The failure that a body throws; nil when it does not.
package func thrownFailure(_ body: () throws -> Void) -> Failure? {
  do {
    try body()
    return nil
  } catch { return error as? Failure ?? Failure(.internalError, "another error: \(error)") }
}
