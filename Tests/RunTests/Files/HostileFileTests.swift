import Files
import Foundation
import Fuzzing
import TestSupport
import Testing

/// Files that somebody damaged, or made to do damage: every reader says so in a line, soon, and lives on. A trap would end
/// the process of these tests.
@Suite(.serialized) struct HostileFileTests {
  /// Reads bytes and checks how that ended; nil where they were accepted.
  private func verdict(_ bytes: [UInt8], _ format: FileFormat, _ readers: FileReaders) -> Failure? {
    let (failure, seconds) = failure { if let found = readers.read(bytes, as: format) { throw found } }
    #expect(seconds < 1)
    if let failure {
      #expect(
        format.allows(failure), "\(failure.code): \(failure.message) for \(Data(bytes).base64EncodedString())"
      )
    }
    return failure
  }

  @Test(arguments: FileFormat.allCases) func validFilesAreAccepted(_ format: FileFormat) throws {
    let readers = try FileReaders()
    for bytes in try readers.samples(of: format) { #expect(readers.read(bytes, as: format) == nil) }
  }

  /// Two hundred flipped bits and a hundred truncations of each.
  ///
  /// A checksum finds every one of them. Where there is none a flipped bit may be another valid file: pixels and labels of
  /// IDX and CIFAR, letters and digits of texts, and what no reader looks at in the header of gzip.
  @Test(arguments: FileFormat.allCases) func damageIsFoundOrHarmless(_ format: FileFormat) throws {
    let readers = try FileReaders()
    var damage = Damage(seed: 1)
    for bytes in try readers.samples(of: format) {
      for _ in 0..<200 { _ = verdict(damage.flip(bytes), format, readers) }
      for _ in 0..<100 {
        let found = verdict(damage.cut(bytes), format, readers)
        // Of texts a beginning may be whole; of the others it is not.
        if [.idx, .gzip, .cifar, .safetensors].contains(format) { #expect(found?.code == .badData) }
      }
    }
  }

  /// The first ten bytes of a gzip file are its header, the last eight CRC-32 and length of what it holds. In the byte
  /// before them are bits that belong to nothing, where the codes end.
  @Test func aFlippedBitInCompressedDataIsFound() throws {
    let readers = try FileReaders()
    var damage = Damage(seed: 2)
    for bytes in try readers.samples(of: .gzip) {
      let (data, end) = (Array(bytes[10..<bytes.count - 9]), Array(bytes.suffix(8)))
      let (head, last) = (bytes.prefix(10), bytes.suffix(9).prefix(1))
      for _ in 0..<150 {
        #expect(verdict(head + damage.flip(data) + last + end, .gzip, readers)?.code == .badData)
      }
      for _ in 0..<50 {
        #expect(verdict(head + data + last + damage.flip(end), .gzip, readers)?.code == .badData)
      }
    }
  }

  /// What `scripts/fuzz` does for hours with libFuzzer, for seconds.
  @Test(arguments: FileFormat.allCases) func changesOfManyKindsAreSurvived(_ format: FileFormat) throws {
    let readers = try FileReaders()
    var damage = Damage(seed: 3)
    let rounds = format == .record ? 400 : 4000
    for bytes in try readers.samples(of: format) {
      for _ in 0..<rounds { _ = verdict(damage.mutate(bytes), format, readers) }
    }
  }
}
