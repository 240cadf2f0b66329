package org.edgeslm.probe;

import java.util.LinkedHashMap;
import java.util.Map;

/** One section of a probe: named values in order, told as soon as they are known. */
public final class Event {
    private final Map<String, Object> fields = new LinkedHashMap<String, Object>();

    /** An event of the section {@code section}. */
    public Event(String section) {
        fields.put("section", section);
    }

    /** Adds a value; null where it was not measured. Returns this event. */
    public Event with(String name, Object value) {
        fields.put(name, value);
        return this;
    }

    /** Adds all values of {@code values} in their order. Returns this event. */
    public Event with(Map<String, ?> values) {
        fields.putAll(values);
        return this;
    }

    /** Which section this is. */
    public String section() {
        return (String) fields.get("section");
    }

    /** The value of that name; null where there is none. */
    public Object get(String name) {
        return fields.get(name);
    }

    /** One line of JSON, without its end. */
    public String json() {
        return Json.object(fields);
    }
}
