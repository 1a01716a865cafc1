public import Dist
public import Files

/// Ends a job with its exit code.
extension Failure: ProcessError {}
