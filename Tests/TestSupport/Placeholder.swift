public import Dist
