#!/usr/bin/env bash
# io.temporal:temporal-sdk 1.38.0 (Java): the default converter makes text of numbers that JSON has not, and so a step of
# another language gets a string where the activity returned a double; and a number of a Duration, but text of an Instant.
#
# Seen:
#   Double.NaN -> "NaN"
#   Double.POSITIVE_INFINITY -> "Infinity"
#   Duration.ofSeconds(90) -> 90.000000000
#   Instant.ofEpochMilli(1500) -> "1970-01-01T00:00:01.500Z"
#
# Expected: a refusal, as in Go, for the first two; one form for both times. Exits with 1 if that changes. Needs a JDK 17
# and Maven.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat >pom.xml <<'XML'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>example</groupId>
  <artifactId>example</artifactId>
  <version>1</version>
  <dependencies>
    <dependency><groupId>io.temporal</groupId><artifactId>temporal-sdk</artifactId><version>1.38.0</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-nop</artifactId><version>2.0.17</version></dependency>
  </dependencies>
</project>
XML
mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies -DoutputDirectory=lib >&2
cat >Main.java <<'JAVA'
import io.temporal.common.converter.DefaultDataConverter;
import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;

class Main {
  public static void main(String[] words) {
    Map<String, Object> values = new LinkedHashMap<>();
    values.put("Double.NaN", Double.NaN);
    values.put("Double.POSITIVE_INFINITY", Double.POSITIVE_INFINITY);
    values.put("Duration.ofSeconds(90)", Duration.ofSeconds(90));
    values.put("Instant.ofEpochMilli(1500)", Instant.ofEpochMilli(1500));
    values.forEach(
        (what, value) ->
            System.out.println(
                what + " -> " + DefaultDataConverter.STANDARD_INSTANCE.toPayload(value).get().getData().toStringUtf8()));
  }
}
JAVA
java -cp 'lib/*' Main.java | tee seen
diff - seen <<'SEEN'
Double.NaN -> "NaN"
Double.POSITIVE_INFINITY -> "Infinity"
Duration.ofSeconds(90) -> 90.000000000
Instant.ofEpochMilli(1500) -> "1970-01-01T00:00:01.500Z"
SEEN
