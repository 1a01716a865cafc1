/// What a transport reports when a message cannot be delivered: the function that failed and its own words.
public struct CommunicationError: Error, CustomStringConvertible, Sendable, Equatable {
  /// The MPI function, or the operation of the local communicator.
  public let function: String
  /// The transport's code.
  public let code: Int32
  /// The transport's words.
  public let reason: String

  /// For a transport of one's own.
  public init(function: String, code: Int32, reason: String) {
    self.function = function
    self.code = code
    self.reason = reason
  }

  /// Function, words and code in one line.
  public var description: String { "\(function) failed: \(reason) (code \(code))" }
}

/// An error that knows how the process should end.
public protocol ProcessError: Error, CustomStringConvertible, Sendable {
  /// The exit code of the process; not 0.
  var exitCode: Int32 { get }
}
