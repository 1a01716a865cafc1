import Files
import Foundation
import Records
import TestSupport
import Testing

/// Event files for TensorBoard, against published checksums and bytes that follow from the formats' definitions.
struct EventFileTests {
  /// RFC 3720, appendix B.4, and the check value of the catalogue of parametrised CRC algorithms.
  @Test(
    arguments: [
      ([UInt8](repeating: 0, count: 32), 0x8A91_36AA), ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43),
      (Array(0..<32), 0x46DD_794E), ((0..<32).reversed(), 0x113F_DB5C),
      (Array("123456789".utf8), 0xE306_9283),
      ([], 0),
    ] as [([UInt8], UInt32)])
  func checksums(bytes: [UInt8], sum: UInt32) {
    #expect(CRC32C.checksum(bytes) == sum)
    // TFRecord: turned by 15 bits, and a constant added.
    #expect(CRC32C.masked(bytes) == (sum >> 15 | sum << 17) &+ 0xA282_EAD8)
  }

  /// Keys are field · 8 + type; 1.5 is 0x3FF8… in double and 0x3F40 0000 is 0.75 in single precision.
  @Test func aRecordHasTheBytesOfItsFormat() {
    let event = TensorBoardEvent(time: 1.5, step: 300, .summary([.init("a/b", .scalar(0.75))]))
    let value: [UInt8] = [0x0A, 3] + Array("a/b".utf8) + [0x15, 0, 0, 0x40, 0x3F]
    let message: [UInt8] =
      [0x09, 0, 0, 0, 0, 0, 0, 0xF8, 0x3F, 0x10, 0xAC, 0x02, 0x2A, UInt8(value.count + 2), 0x0A]
      + [UInt8(value.count)] + value
    let record = event.record
    #expect(Array(record[12..<record.count - 4]) == message)
    #expect(record[0..<8].elementsEqual([UInt8(message.count), 0, 0, 0, 0, 0, 0, 0]))
    func bytes(_ sum: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: sum >> (8 * $0)) } }
    #expect(Array(record[8..<12]) == bytes(CRC32C.masked(record[0..<8])))
    #expect(Array(record.suffix(4)) == bytes(CRC32C.masked(message)))
  }

  private func line(_ split: String, _ step: Int) -> MetricsRecord {
    var line = MetricsRecord(epoch: 1, step: step, split: split)
    line.loss = 0.5
    line.expertShare = [0.25, 0.75]
    return line
  }

  @Test func recordsAreReadToTheFirstThatIsDamaged() {
    let events = [1, 2, 3].map {
      TensorBoardEvent(time: 0, step: $0, .summary([.init("train/loss", .scalar(1))]))
    }
    let file = events.flatMap(\.record)
    #expect(TensorBoardEvent.records(of: file).map(\.step) == [1, 2, 3])
    let size = events[0].record.count
    for cut in 0..<file.count {
      #expect(TensorBoardEvent.records(of: Array(file.prefix(cut))).count == cut / size)
    }
    for place in size..<2 * size {
      var damaged = file
      damaged[place] ^= 1
      #expect(TensorBoardEvent.records(of: damaged).map(\.step) == [1])
    }
    #expect(TensorBoardEvent.records(of: [UInt8](repeating: 0xFF, count: 64)).isEmpty)
  }

  /// What a killed process left: later steps, a test line and half a record go; a file with nothing else goes whole.
  @Test func aResumeCutsTheFiles() throws {
    let scratch = TemporaryDirectory()
    let first = try EventFiles(in: scratch.path, host: "a/../b", after: 0)
    try first.append([line("train", 10), line("test", 10), line("train", 20)])
    let second = try EventFiles(in: scratch.path, host: "a", after: 20)
    try second.append([line("train", 30)])
    let names = try EventFiles.names(in: scratch.path)
    #expect(names.count == 2 && names == names.sorted() && names.allSatisfy { !$0.contains("/") })
    #expect(names[0].hasSuffix(".a----b"))
    let path = scratch.path + "/" + names[0]
    let handle = try #require(FileHandle(forWritingAtPath: path))
    try handle.seekToEnd()
    try handle.write(contentsOf: Data([1, 2, 3]))
    try handle.close()
    try EventFiles.truncate(in: scratch.path, toStep: 10)
    #expect(try EventFiles.names(in: scratch.path) == [names[0]])
    let records = TensorBoardEvent.records(of: try Array(Data(contentsOf: URL(fileURLWithPath: path))))
    // The version, the start of step 1, and the line of step 10.
    #expect(records.map(\.step) == [0, 1, 10] && records.map(\.tag) == [nil, nil, "train/epoch"])
  }

  @Test func theTableHasALinePerLineAndAColumnPerShare() throws {
    let scratch = TemporaryDirectory()
    let run = try RunDirectory.create(scratch.path + "/run")
    try run.append([line("train", 10)])
    try run.append([line("validation", 10), line("test", 10)])
    func table() throws -> [[Substring]] {
      let text = try String(contentsOfFile: run.file("metrics.csv"), encoding: .utf8)
      return text.split(separator: "\n").map { $0.split(separator: ",", omittingEmptySubsequences: false) }
    }
    let lines = try table()
    #expect(lines.count == 4 && Set(lines.map(\.count)).count == 1)
    #expect(
      lines.map { Array($0.prefix(3)) } == [
        ["epoch", "step", "split"], ["1", "10", "train"], ["1", "10", "validation"], ["1", "10", "test"],
      ])
    let share = try #require(lines[0].firstIndex(of: "expert_share_1"))
    let unknown = try #require(lines[0].firstIndex(of: "error"))
    #expect(lines[1][share] == "0.75" && lines[1][unknown].isEmpty)
    // A line with a column that was not there before.
    var other = line("train", 20)
    other.expertShare = [0.25, 0.25, 0.5]
    try run.append([other])
    #expect(try table()[0].contains("expert_share_2") && table().count == 5)
    try run.truncateMetrics(toStep: 10)
    #expect(try table() == Array(lines.prefix(3)))
  }
}
