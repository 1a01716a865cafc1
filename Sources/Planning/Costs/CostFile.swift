public import Files
internal import Records

/// Costs of a machine and a model as a file: what `bench --save` writes and `plan --costs` reads.
public struct CostFile: Equatable, Sendable {
  public var costs: StepCosts
  /// What messages between the ranks cost that measured; nil where one rank did.
  public var messages: MessageCost?
  /// The ranks that measured.
  public var ranks: Int
  /// Whether they had fewer cores than ranks.
  public var isOversubscribed: Bool
  /// Where: host, kernels, level.
  public var place: [String: String]

  public init(
    costs: StepCosts, messages: MessageCost?, ranks: Int, isOversubscribed: Bool, place: [String: String]
  ) {
    self.costs = costs
    self.messages = messages
    self.ranks = ranks
    self.isOversubscribed = isOversubscribed
    self.place = place
  }

  static let format = "moe-dist-costs-1"

  public var json: JSONValue {
    [
      "format": .string(CostFile.format), "costs": costs.json, "messages": messages?.json ?? .null,
      "ranks": .integer(ranks), "oversubscribed": .bool(isOversubscribed), "place": JSONValue(place),
    ]
  }

  /// Reads a file.
  ///
  /// - Throws: ``Failure``: the file is not there, or is not one of costs.
  public init(path: String) throws(Failure) {
    guard let bytes = try SafeFile.read(path, limit: 1 << 20, followingLinks: true) else {
      throw Failure(.notFound, "there is no file \(path); make one by 'moe-dist bench --save \(path)'")
    }
    func wrong(_ what: String) -> Failure {
      Failure(.badData, "\(path): \(what); make it again by 'moe-dist bench --save \(path)'")
    }
    let json: JSONValue
    do { json = try JSONValue(parsing: bytes) } catch { throw wrong("is not JSON: \(error)") }
    guard json["format"]?.stringValue == CostFile.format else {
      throw wrong("is not a file of costs of this version (format \(CostFile.format))")
    }
    guard let costs = StepCosts(json["costs"]), let ranks = json["ranks"]?.integerValue, ranks > 0,
      case .bool(let over)? = json["oversubscribed"]
    else { throw wrong("lacks a cost, or one is no number") }
    self.costs = costs
    messages = MessageCost(json["messages"])
    self.ranks = ranks
    isOversubscribed = over
    place = [:]
    if case .object(let members)? = json["place"] {
      for member in members { place[member.key] = member.value.stringValue }
    }
  }

  public func write(to path: String) throws(Failure) {
    try OutputFile.write(json.text(pretty: true) + "\n", to: path)
  }

  /// Checks where costs are to be written: a file of costs may be replaced, nothing else.
  public static func check(output path: String) throws(Failure) {
    try OutputFile.check(path, force: false, option: "save") {
      String(decoding: $0, as: UTF8.self).contains(format)
    }
  }
}
