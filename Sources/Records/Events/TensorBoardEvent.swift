/// An event as TensorBoard reads it, and its record in an event file (tensorflow/core/util/event.proto, TFRecord).
package struct TensorBoardEvent: Equatable {
  package enum Content: Equatable {
    /// What a file begins with.
    case version
    /// A process begins. What files before this one say of this step and later ones is not shown.
    case start
    case summary([Value])
  }

  package struct Value: Equatable {
    package enum Figure: Equatable {
      case scalar(Float)
      /// A PNG file, with its channels.
      case image(file: [UInt8], width: Int, height: Int, channels: Int)
    }

    package let tag: String
    package let figure: Figure

    package init(_ tag: String, _ figure: Figure) {
      self.tag = tag
      self.figure = figure
    }
  }

  /// Seconds since 1970.
  package let time: Double
  package let step: Int
  package let content: Content

  package init(time: Double, step: Int, _ content: Content) {
    self.time = time
    self.step = step
    self.content = content
  }

  // MARK: Written

  /// The message `Event`.
  var message: [UInt8] {
    var event = WireWriter()
    event.add(1, time)
    event.add(2, step)
    switch content {
    case .version: event.add(3, "brain.Event:2".utf8)
    case .start:
      var log = WireWriter()
      log.add(1, 1)
      event.add(7, log.bytes)
    case .summary(let values):
      var summary = WireWriter()
      for value in values { summary.add(1, value.message) }
      event.add(5, summary.bytes)
    }
    return event.bytes
  }

  /// Its record: length, the length's checksum, message, the message's checksum.
  package var record: [UInt8] {
    let message = message
    let length = littleEndian(UInt64(message.count))
    return length + littleEndian(CRC32C.masked(length)) + message + littleEndian(CRC32C.masked(message))
  }

  // MARK: Read

  /// The records of a file, whole and in their order, up to the first that is torn or damaged.
  package static func records(of file: [UInt8]) -> [Record] {
    var records: [Record] = []
    var rest = file[...]
    while rest.count >= 16 {
      let head = rest.prefix(8)
      let count = number(littleEndian: head)
      guard UInt64(CRC32C.masked(head)) == number(littleEndian: rest.dropFirst(8).prefix(4)),
        count <= rest.count - 16
      else { break }
      let message = rest.dropFirst(12).prefix(Int(count))
      let whole = rest.prefix(Int(count) + 16)
      guard UInt64(CRC32C.masked(message)) == number(littleEndian: whole.suffix(4)) else { break }
      records.append(Record(message, bytes: whole))
      rest = rest.dropFirst(whole.count)
    }
    return records
  }

  /// What a resume asks of a record.
  package struct Record {
    package let bytes: ArraySlice<UInt8>
    package private(set) var step = 0
    /// The tag of its first value; nil where it has none.
    package private(set) var tag: String?
    package private(set) var isVersion = false

    init(_ message: ArraySlice<UInt8>, bytes: ArraySlice<UInt8>) {
      self.bytes = bytes
      for (field, value) in WireReader(message) {
        switch (field, value) {
        case (2, .number(let number)): step = Int(truncatingIfNeeded: number)
        case (3, .bytes): isVersion = true
        case (5, .bytes(let summary)): tag = Self.tag(of: summary)
        default: break
        }
      }
    }

    private static func tag(of summary: ArraySlice<UInt8>) -> String? {
      for case (1, .bytes(let value)) in WireReader(summary) {
        for case (1, .bytes(let tag)) in WireReader(value) { return String(decoding: tag, as: UTF8.self) }
      }
      return nil
    }
  }
}

extension TensorBoardEvent.Value {
  /// The message `Summary.Value`.
  fileprivate var message: [UInt8] {
    var value = WireWriter()
    value.add(1, tag.utf8)
    switch figure {
    case .scalar(let number): value.add(2, number)
    case .image(let file, let width, let height, let channels):
      var image = WireWriter()
      image.add(1, height)
      image.add(2, width)
      image.add(3, channels)
      image.add(4, file)
      value.add(4, image.bytes)
    }
    return value.bytes
  }
}
